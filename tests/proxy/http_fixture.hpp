// A real HttpServer on a loopback port that the system chose, in a thread of its own, and a client that sends
// bytes as they are. Every wait of the client ends after five seconds. For the tests of the HTTP listener
// only.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "proxy/admin/http_server.hpp"

namespace fairlead::proxy::test {

inline constexpr std::chrono::seconds patience{5};

class HttpFixture {
 public:
  explicit HttpFixture(HttpHandler handler, HttpLimits limits = {},
                       std::vector<resp::Address> listen = {{"127.0.0.1", 0, false}})
      : work_(io_.get_executor()),
        server_(io_, listen, limits, std::move(handler)),
        errors_(server_.start()) {
    thread_ = std::thread([this] { io_.run(); });
  }
  template <class F>
  auto on_thread(F function) {
    std::packaged_task<decltype(function())()> task(std::move(function));
    auto result = task.get_future();
    boost::asio::post(io_, std::move(task));
    REQUIRE(result.wait_for(patience) == std::future_status::ready);
    return result.get();
  }

  ~HttpFixture() {
    on_thread([this] {
      server_.stop();
      return 0;
    });
    work_.reset();
    thread_.join();  // only when every pending operation has ended: nothing is left behind
  }
  HttpFixture(const HttpFixture&) = delete;
  HttpFixture& operator=(const HttpFixture&) = delete;

  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  [[nodiscard]] std::uint16_t port() const { return server_.addresses().front().port; }

  HttpCounters counters() {
    return on_thread([this] { return server_.counters(); });
  }

  /// Waits until so many connections are open.
  [[nodiscard]] bool wait_for_connections(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (on_thread([this] { return server_.connection_count(); }) != count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  HttpServer server_;
  std::vector<std::string> errors_;
  std::thread thread_;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  explicit RawClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the peer has closed.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void finish_sending() const { shutdown(fd_, SHUT_WR); }

  /// All bytes until the peer closes.
  std::string read_all() {
    while (receive()) {
    }
    return std::exchange(pending_, {});
  }

  /// Bytes up to and including `end`.
  std::string read_until(std::string_view end) {
    std::size_t at = pending_.find(end);
    while (at == std::string::npos) {
      if (!receive()) FAIL("closed before '" << end << "' came: " << pending_);
      at = pending_.find(end);
    }
    std::string result = pending_.substr(0, at + end.size());
    pending_.erase(0, result.size());
    return result;
  }

  /// One reply: headers and as much body as they announce.
  std::string read_reply() {
    std::string reply = read_until("\r\n\r\n");
    const std::size_t at = reply.find("Content-Length: ");
    REQUIRE(at != std::string::npos);
    const std::size_t size = std::stoul(reply.substr(at + 16));
    while (pending_.size() < size) REQUIRE(receive());
    reply += pending_.substr(0, size);
    pending_.erase(0, size);
    return reply;
  }

 private:
  /// False when the peer has closed or reset the connection.
  bool receive() {
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
    if (ready != 1) FAIL("nothing came in five seconds");
    char buffer[4096];
    const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) return false;
    pending_.append(buffer, static_cast<std::size_t>(size));
    return true;
  }

  int fd_;
  std::string pending_;
};

}  // namespace fairlead::proxy::test
