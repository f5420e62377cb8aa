// One control connection: an Asio stream whose commands hiredis formats and whose replies (RESP2) hiredis
// reads. The only place that knows hiredis. Owned by the Monitor; control thread. It never blocks, never
// times out and never retries: LinkFsm decides those and the Monitor calls close(). Only callbacks; none is
// called from within connect(), send() or close(), and none after close().
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "health/link_fsm.hpp"
#include "health/observation.hpp"
#include "resp/address.hpp"
#include "resp/value.hpp"

namespace fairlead::health {

class ControlLink {
 public:
  struct Callbacks {
    std::function<void()> connected;
    std::function<void(LinkFailure, std::string)> failed;  // the connection is closed already
    std::function<void(resp::Value)> reply;
  };

  ControlLink(boost::asio::io_context& context, resp::Address address, Callbacks callbacks);
  ~ControlLink();
  ControlLink(const ControlLink&) = delete;
  ControlLink& operator=(const ControlLink&) = delete;

  /// Resolves the host if it is a name, then tries its addresses in turn. Closes what was open.
  void connect();
  /// Queues one command. Ignored when not connected: the failure has been or will be told.
  void send(const std::vector<std::string>& command);
  void close();

  static constexpr std::size_t reply_bytes_max = 16U << 20U;  // a larger reply closes the connection
  static constexpr std::size_t output_bytes_max = 1U << 20U;  // unsent commands; more closes the connection

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared with the handlers under way
};

/// What a machine wants done on its connection, in order.
void perform(const LinkActions& actions, ControlLink& link);

}  // namespace fairlead::health
