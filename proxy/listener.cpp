#include "proxy/listener.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace fairlead::proxy {

namespace {
/// Accepted in a row before other connections have their turn.
constexpr int accept_batch_max = 64;
/// Out of descriptors: accepting again at once would spin.
constexpr std::chrono::milliseconds accept_retry{100};
}  // namespace

Listener::Listener(boost::asio::io_context& context, int descriptor, ListenKind kind, Accepted accepted)
    : descriptor_(context, descriptor), retry_(context), kind_(kind), accepted_(std::move(accepted)) {}

void Listener::start() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (error) {  // closed
                             failed_ = true;
                             return;
                           }
                           accept_some();
                         });
}

void Listener::close() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  retry_.cancel();
}

void Listener::accept_some() {
  for (int i = 0; i < accept_batch_max; ++i) {
    const int client = ::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0) {
      accepted_(client, kind_);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause();
      return;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    break;
  }
  start();
}

void Listener::pause() {
  retry_.expires_after(accept_retry);
  retry_.async_wait([this](const boost::system::error_code& error) {
    if (!error) accept_some();
  });
}

}  // namespace fairlead::proxy
