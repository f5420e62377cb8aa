#include "proxy/admin/http_server.hpp"

#include <utility>

#include "proxy/admin/http_listener.hpp"
#include "proxy/admin/http_session.hpp"

namespace fairlead::proxy {

HttpServer::HttpServer(boost::asio::io_context& io, const std::vector<resp::Address>& listen,
                       HttpLimits limits, HttpHandler handler)
    : core_(std::make_shared<HttpCore>()) {
  core_->limits = limits;
  core_->handler = std::move(handler);
  for (const resp::Address& address : listen) {
    listeners_.push_back(std::make_shared<HttpListener>(io, address, core_));
  }
}

HttpServer::~HttpServer() {
  stop();
}

std::vector<std::string> HttpServer::start() {
  std::vector<std::string> errors;
  for (const auto& listener : listeners_) {
    std::string error = listener->open();
    if (!error.empty()) errors.push_back(std::move(error));
  }
  return errors;
}

void HttpServer::stop() {
  if (core_->stopped) return;
  core_->stopped = true;
  for (const auto& listener : listeners_) listener->close();
  // A session removes itself from the set when its last operation has ended, never within close().
  for (HttpSession* const session : core_->sessions) session->close();
}

std::vector<resp::Address> HttpServer::addresses() const {
  std::vector<resp::Address> result;
  for (const auto& listener : listeners_) result.push_back(listener->address());
  return result;
}

const HttpCounters& HttpServer::counters() const {
  return core_->counters;
}

std::size_t HttpServer::connection_count() const {
  return core_->sessions.size();
}

}  // namespace fairlead::proxy
