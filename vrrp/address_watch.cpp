#include "vrrp/address_watch.hpp"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

// The macros of rtnetlink.h are casts of C.
#pragma GCC diagnostic ignored "-Wold-style-cast"

namespace fairlead::vrrp {

using boost::system::error_code;

AddressWatch::AddressWatch(boost::asio::io_context& context, const std::string& address, Changed changed)
    : descriptor_(context), changed_(std::move(changed)) {
  if (::inet_pton(AF_INET, address.c_str(), address_.data()) == 1) {
    family_ = AF_INET;
    address_size_ = 4;
  } else if (::inet_pton(AF_INET6, address.c_str(), address_.data()) == 1) {
    family_ = AF_INET6;
    address_size_ = 16;
  }
}

std::string AddressWatch::start() {
  if (family_ == 0) return "the address of the pair is neither IPv4 nor IPv6";
  const int opened = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (opened < 0) return std::string("cannot open netlink: ") + std::strerror(errno);
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = family_ == AF_INET ? RTMGRP_IPV4_IFADDR : RTMGRP_IPV6_IFADDR;
  if (::bind(opened, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) {
    const int error = errno;
    ::close(opened);
    return std::string("cannot listen to netlink: ") + std::strerror(error);
  }
  error_code ignored;
  descriptor_.assign(opened, ignored);
  request_all();
  wait();
  return {};
}

void AddressWatch::stop() {
  error_code ignored;
  descriptor_.close(ignored);
}

void AddressWatch::request_all() {
  struct {
    nlmsghdr header;
    ifaddrmsg body;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.ifa_family = static_cast<unsigned char>(family_);
  dumped_.clear();
  dumping_ = ::send(descriptor_.native_handle(), &request, sizeof(request), 0) == sizeof(request);
  dump_again_ = !dumping_;
}

void AddressWatch::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
    if (!error) read_all();
  });
}

void AddressWatch::read_all() {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  while (descriptor_.is_open()) {
    const ssize_t size = ::recv(descriptor_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0) {
      on_messages(buffer.data(), static_cast<std::size_t>(size));
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else {
      // ENOBUFS: messages were lost; only asking for everything again tells the truth.
      if (size < 0 && errno == ENOBUFS) {
        dump_again_ = true;
        continue;
      }
      break;
    }
  }
  if (!descriptor_.is_open()) return;
  if (dump_again_ && !dumping_) request_all();
  wait();
}

void AddressWatch::on_messages(const char* data, std::size_t size) {
  const auto* message = reinterpret_cast<const nlmsghdr*>(data);
  auto left = static_cast<unsigned int>(size);
  for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
    if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR) {
      on_address_message(*message);
    } else if (message->nlmsg_type == NLMSG_DONE && dumping_) {
      dumping_ = false;
      interfaces_ = dumped_;
      tell();
    } else if (message->nlmsg_type == NLMSG_ERROR && dumping_) {
      dumping_ = false;
      dump_again_ = true;
    }
  }
}

void AddressWatch::on_address_message(const nlmsghdr& message) {
  const auto* body = reinterpret_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
  if (body->ifa_family != family_) return;
  const auto* attribute = IFA_RTA(body);
  auto left = static_cast<unsigned int>(IFA_PAYLOAD(&message));
  bool ours = false;
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    // IFA_LOCAL is the address itself on IPv4; IPv6 has it in IFA_ADDRESS alone.
    const int wanted = family_ == AF_INET ? IFA_LOCAL : IFA_ADDRESS;
    if (attribute->rta_type != wanted || RTA_PAYLOAD(attribute) < address_size_) continue;
    ours = std::memcmp(RTA_DATA(attribute), address_.data(), address_size_) == 0;
  }
  if (!ours) return;
  const bool added = message.nlmsg_type == RTM_NEWADDR;
  // What happens while a dump is being read counts for both, whichever of the two is newer.
  if (dumping_) {
    added ? static_cast<void>(dumped_.insert(body->ifa_index))
          : static_cast<void>(dumped_.erase(body->ifa_index));
  }
  if ((message.nlmsg_flags & NLM_F_MULTI) != 0) return;
  added ? static_cast<void>(interfaces_.insert(body->ifa_index))
        : static_cast<void>(interfaces_.erase(body->ifa_index));
  tell();
}

void AddressWatch::tell() {
  const Presence now = interfaces_.empty() ? Presence::absent : Presence::present;
  if (told_ && now == presence_) return;
  told_ = true;
  presence_ = now;
  changed_(now);
}

}  // namespace fairlead::vrrp
