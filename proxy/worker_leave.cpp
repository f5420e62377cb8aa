// Letting the clients of one local address go, because the address leaves this host. A part of Worker.
#include <algorithm>
#include <utility>

#include "proxy/socket_options.hpp"
#include "proxy/worker.hpp"

namespace fairlead::proxy {

using boost::system::error_code;
using engine::ConnId;

void Worker::let_go(LeaveOrder order) {
  if (leave_.done) finish_leaving();
  leave_ = std::move(order);
  for (Stream& stream : clients_) {
    if (!stream.id.valid() || local_host_of(stream.descriptor) != leave_.address) continue;
    stream.reset = leave_.now == AddressNow::here ? ResetOnClose::when_acknowledged : ResetOnClose::always;
    leaving_.push_back(stream.id);
  }
  leaving_count_ = static_cast<std::uint32_t>(leaving_.size());
  // As if each of them had said that it will send no more: what it sent is answered, then it is closed.
  // Subscribers and blocked clients are closed at once.
  const std::vector<ConnId> ids = leaving_;
  for (const ConnId id : ids) engine_.on_end_of_file(id, now());
  if (leave_.grace.count() == 0) {
    finish_leaving();
    return;
  }
  leave_timer_.expires_after(leave_.grace);
  leave_timer_.async_wait([this](const error_code& error) {
    if (!error && leave_.done) finish_leaving();
  });
}

/// At the end of each turn while clients are leaving: nobody waits for the grace when all are gone.
void Worker::check_leaving() {
  std::erase_if(leaving_, [this](ConnId id) { return find(id) == nullptr; });
  if (leaving_.empty()) finish_leaving();
}

void Worker::finish_leaving() {
  for (const ConnId id : std::exchange(leaving_, {})) {
    if (find(id) != nullptr) engine_.on_error(id, "the address has left this host", now());
  }
  leave_timer_.cancel();
  std::exchange(leave_.done, nullptr)(leaving_count_);
}

std::uint32_t Worker::listeners_open() const {
  return static_cast<std::uint32_t>(std::count_if(
      listeners_.begin(), listeners_.end(), [](const auto& listener) { return listener->accepting(); }));
}

}  // namespace fairlead::proxy
