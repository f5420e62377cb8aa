// Asks the kernel by netlink whether an address is on this host, and hears of every change at once. Owned by
// the Pair; lives on the control thread. It changes nothing on the host.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "vrrp/ownership.hpp"

struct nlmsghdr;

namespace fairlead::vrrp {

class AddressWatch {
 public:
  /// Called for each change, and once after the first answer of the kernel.
  using Changed = std::function<void(Presence)>;

  /// `address`: IPv4 or IPv6 without prefix length.
  AddressWatch(boost::asio::io_context& context, const std::string& address, Changed changed);

  /// A sentence when netlink cannot be used; empty when all is well.
  [[nodiscard]] std::string start();
  void stop();

 private:
  void request_all();
  void wait();
  void read_all();
  void on_messages(const char* data, std::size_t size);
  void on_address_message(const nlmsghdr& message);
  void tell();

  boost::asio::posix::stream_descriptor descriptor_;
  Changed changed_;
  int family_ = 0;
  std::size_t address_size_ = 0;
  std::array<unsigned char, 16> address_{};
  std::set<std::uint32_t> interfaces_;  // that have the address
  std::set<std::uint32_t> dumped_;      // the same, of a dump that is being read
  bool dumping_ = false;
  bool dump_again_ = false;
  bool told_ = false;
  Presence presence_ = Presence::absent;
};

}  // namespace fairlead::vrrp
