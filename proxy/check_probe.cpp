#include "proxy/check_probe.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

namespace fairlead::proxy {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::string_view ping = "*1\r\n$4\r\nPING\r\n";
constexpr std::string_view healthz = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Connections for each worker: the kernel spreads them by chance. /healthz asks every worker for certain.
constexpr unsigned connections_per_worker = 3;
constexpr unsigned connections_max = 64;
constexpr std::size_t answer_bytes_max = 16384;

using Endpoint = asio::generic::stream_protocol::endpoint;

std::optional<Endpoint> endpoint_of(const resp::Address& address) {
  error_code error;
  if (address.is_unix) return Endpoint(asio::local::stream_protocol::endpoint(address.host));
  const auto ip = asio::ip::make_address(address.host, error);
  if (!error) return Endpoint(asio::ip::tcp::endpoint(ip, address.port));
  asio::io_context context(1);
  asio::ip::tcp::resolver resolver(context);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error || found.empty()) return std::nullopt;
  return Endpoint(found.begin()->endpoint());
}

enum class AnswerEnd : std::uint8_t { line, end_of_file };

/// One question on one connection.
struct Talk {
  Talk(asio::io_context& context, std::string_view question_, AnswerEnd end_)
      : socket(context), question(question_), end(end_) {}

  void begin(const Endpoint& endpoint) {
    socket.async_connect(endpoint, [this](const error_code& error) {
      if (error) return finish(error);
      asio::async_write(socket, asio::buffer(question), [this](const error_code& failed, std::size_t) {
        if (failed) return finish(failed);
        read();
      });
    });
  }
  void read() {
    socket.async_read_some(asio::buffer(buffer), [this](const error_code& error, std::size_t size) {
      answer.append(buffer.data(), size);
      if (error == asio::error::eof && end == AnswerEnd::end_of_file) return finish({});
      if (error) return finish(error);
      if (end == AnswerEnd::line && answer.find("\r\n") != std::string::npos) return finish({});
      if (answer.size() < answer_bytes_max) read();
    });
  }
  void finish(const error_code& error) {
    finished = true;
    failure = error;
  }
  [[nodiscard]] bool good() const { return finished && !failure; }

  asio::generic::stream_protocol::socket socket;
  std::string_view question;
  AnswerEnd end;
  std::array<char, 2048> buffer{};
  std::string answer;
  bool finished = false;
  error_code failure;
};

struct Target {
  resp::Address address;
  std::vector<std::unique_ptr<Talk>> talks;
};

class Probe {
 public:
  Probe(const Options& options, std::chrono::milliseconds within) : options_(options), within_(within) {}
  ProbeResult run();

 private:
  void ask_listeners();
  void ask_health();
  void begin(Target& target, std::string_view question, AnswerEnd end, unsigned count);
  void judge_listener(const Target& target);
  void judge_health();

  const Options& options_;
  std::chrono::milliseconds within_;
  asio::io_context context_{1};
  std::vector<Target> listeners_;
  std::optional<Target> health_;
  ProbeResult result_;
};

void Probe::begin(Target& target, std::string_view question, AnswerEnd end, unsigned count) {
  const auto endpoint = endpoint_of(target.address);
  if (!endpoint) {
    result_.faults.push_back(fmt::format("{} cannot be resolved", resp::to_string(target.address)));
    return;
  }
  for (unsigned i = 0; i < count; ++i) {
    target.talks.push_back(std::make_unique<Talk>(context_, question, end));
    target.talks.back()->begin(*endpoint);
  }
}

void Probe::ask_listeners() {
  const unsigned workers =
      options_.threads != 0 ? options_.threads : std::max(1U, std::thread::hardware_concurrency());
  const unsigned count = std::min(workers * connections_per_worker, connections_max);
  for (const resp::Address& listen : options_.listen) {
    const auto address = reachable_here(listen);
    if (!address) {
      result_.notes.push_back(fmt::format("{} is not on this host now", resp::to_string(listen)));
      continue;
    }
    listeners_.push_back({*address, {}});
    begin(listeners_.back(), ping, AnswerEnd::line, count);
  }
}

void Probe::ask_health() {
  for (const resp::Address& listen : options_.stats.listen) {
    const auto address = reachable_here(listen);
    if (!address) continue;
    health_ = Target{*address, {}};
    begin(*health_, healthz, AnswerEnd::end_of_file, 1);
    return;
  }
  result_.notes.emplace_back("no stats listener on this host: not every worker was asked for certain");
}

void Probe::judge_listener(const Target& target) {
  std::size_t silent = 0;
  const Talk* failed = nullptr;
  for (const auto& talk : target.talks) {
    if (talk->good()) ++result_.answers;
    if (!talk->finished) ++silent;
    if (talk->finished && talk->failure) failed = talk.get();
  }
  const std::string where = resp::to_string(target.address);
  if (failed != nullptr) {
    result_.faults.push_back(failed->failure == asio::error::connection_refused
                                 ? fmt::format("nothing listens on {}", where)
                                 : fmt::format("{}: {}", where, failed->failure.message()));
  }
  if (silent > 0) {
    result_.faults.push_back(
        fmt::format("{}: {} of {} connections got no answer within {} ms; a worker stands still", where,
                    silent, target.talks.size(), within_.count()));
  }
}

void Probe::judge_health() {
  if (!health_ || health_->talks.empty()) return;
  const Talk& talk = *health_->talks.front();
  const std::string where = resp::to_string(health_->address);
  if (!talk.finished) {
    result_.faults.push_back(fmt::format("{}/healthz did not answer within {} ms", where, within_.count()));
  } else if (talk.failure) {
    result_.faults.push_back(fmt::format("{}/healthz: {}", where, talk.failure.message()));
  } else if (!talk.answer.starts_with("HTTP/1.1 200")) {
    const std::size_t body = talk.answer.find("\r\n\r\n");
    std::string reason = body == std::string::npos ? talk.answer.substr(0, 80) : talk.answer.substr(body + 4);
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    result_.faults.push_back(std::move(reason));
  } else {
    ++result_.answers;
  }
}

ProbeResult Probe::run() {
  ask_listeners();
  ask_health();
  context_.run_for(within_);
  for (const Target& target : listeners_) judge_listener(target);
  judge_health();
  return std::move(result_);
}

}  // namespace

std::optional<resp::Address> reachable_here(const resp::Address& listen) {
  resp::Address address = listen;
  if (address.is_unix) return address;
  if (address.host.empty() || address.host == "0.0.0.0" || address.host == "*") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  error_code error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) return address;  // a name: the resolver knows
  // Only an address of this host can be bound.
  asio::io_context context(1);
  asio::ip::tcp::socket socket(context);
  const asio::ip::tcp::endpoint any_port(ip, 0);
  socket.open(any_port.protocol(), error);
  if (!error) socket.bind(any_port, error);
  return error ? std::nullopt : std::optional(address);
}

ProbeResult probe_instance(const Options& options, std::chrono::milliseconds within) {
  return Probe(options, within).run();
}

}  // namespace fairlead::proxy
