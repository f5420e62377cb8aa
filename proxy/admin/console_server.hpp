// The console's connections: accepts, reads commands, has a ConsoleDialog answer, writes. Owned by the
// Server; lives on the control thread. Every connection is bounded in bytes and number; a peer that breaks
// the protocol or does not read is closed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/console.hpp"
#include "proxy/listener.hpp"
#include "resp/address.hpp"

namespace fairlead::proxy {

class ConsoleServer {
 public:
  static constexpr std::size_t connections_max = 64;

  ConsoleServer(boost::asio::io_context& io, ConsoleProvider provider);
  ~ConsoleServer();

  /// Returns the sentence that says why it cannot listen there, or nothing.
  [[nodiscard]] std::string open(const resp::Address& address);
  [[nodiscard]] const std::vector<resp::Address>& addresses() const { return addresses_; }
  void stop();

 private:
  class Connection;
  struct Shared;

  void accept(int descriptor, ListenKind kind);

  boost::asio::io_context& io_;
  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<resp::Address> addresses_;
};

}  // namespace fairlead::proxy
