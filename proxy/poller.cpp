#include "proxy/poller.hpp"

#include <boost/system/system_error.hpp>
#include <cerrno>

#include "proxy/system_call.hpp"

namespace fairlead::proxy {

namespace {

// A name in the 64 bits that epoll keeps for us: 31 of the index, one of the side, 32 of the generation.
constexpr std::uint64_t backend_bit = std::uint64_t{1} << 63;

std::uint64_t pack(engine::ConnId id) {
  const std::uint64_t side = id.side == engine::Side::backend ? backend_bit : 0;
  return side | (std::uint64_t{id.index} << 32) | id.generation;
}

engine::ConnId unpack(std::uint64_t bits) {
  return {static_cast<std::uint32_t>((bits & ~backend_bit) >> 32), static_cast<std::uint32_t>(bits),
          (bits & backend_bit) != 0 ? engine::Side::backend : engine::Side::client};
}

int new_set() {
  const int descriptor = ::epoll_create1(EPOLL_CLOEXEC);
  if (descriptor < 0)
    throw boost::system::system_error(errno, boost::system::system_category(), "epoll_create1");
  return descriptor;
}

epoll_event event_of(engine::ConnId id, Poller::Interest interest) {
  using Interest = Poller::Interest;
  epoll_event event{};
  event.events = EPOLLET;
  if (interest == Interest::read || interest == Interest::read_and_write)
    event.events |= EPOLLIN | EPOLLRDHUP;
  if (interest == Interest::write || interest == Interest::read_and_write) event.events |= EPOLLOUT;
  event.data.u64 = pack(id);
  return event;
}

}  // namespace

Poller::Poller(boost::asio::io_context& context) : set_(context, new_set()) {}

int Poller::change(int descriptor, engine::ConnId id, Interest& now, Interest wanted) {
  if (now == wanted) return 0;
  const int operation = now == Interest::none      ? EPOLL_CTL_ADD
                        : wanted == Interest::none ? EPOLL_CTL_DEL
                                                   : EPOLL_CTL_MOD;
  epoll_event event = event_of(id, wanted);
  if (::epoll_ctl(set_.native_handle(), operation, descriptor, &event) != 0) return errno;
  now = wanted;
  return 0;
}

std::size_t Poller::take() {
  const int count = take_ready(set_.native_handle(), events_.data(), static_cast<int>(events_max));
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

Poller::Ready Poller::ready_at(std::size_t i) const {
  const epoll_event& event = events_[i];
  const bool lost = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
  Ready ready;
  ready.id = unpack(event.data.u64);
  ready.readable = lost || (event.events & EPOLLIN) != 0;
  ready.writable = lost || (event.events & EPOLLOUT) != 0;
  ready.ended = lost || (event.events & EPOLLRDHUP) != 0;
  return ready;
}

void Poller::wake() {
  if (wake_armed_) return;
  wake_armed_ = true;
  set_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                  [this](const boost::system::error_code&) { wake_armed_ = false; });
}

}  // namespace fairlead::proxy
