// `fairlead top`: a live view in the terminal, made of what the console of a running fairlead says. Blocking;
// the only thing the process does.
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>
#include <thread>

#include "proxy/commands.hpp"
#include "resp/value.hpp"
#include "resp/writer.hpp"

namespace fairlead::proxy {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::array<std::string_view, 5> topics{"SUMMARY", "SERVERS", "COMMANDS", "CLIENTS", "FAILOVERS"};
constexpr std::chrono::seconds refresh_interval{1};

/// A conversation with the console. Errors are sentences in `error()`; after one nothing else works.
class Conversation {
 public:
  explicit Conversation(const resp::Address& address) {
    error_code error;
    if (address.is_unix) {
      socket_.connect(asio::local::stream_protocol::endpoint(address.host), error);
    } else {
      asio::ip::tcp::resolver resolver(io_);
      const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
      if (!error && !found.empty()) socket_.connect(found.begin()->endpoint(), error);
    }
    if (error) error_ = fmt::format("{} does not answer: {}", resp::to_string(address), error.message());
  }

  /// What the console answers; an error reply is an error of the conversation.
  std::optional<resp::Value> ask(std::initializer_list<std::string_view> command) {
    if (!error_.empty()) return std::nullopt;
    std::string frame;
    resp::append_command(frame, command);
    error_code error;
    asio::write(socket_, asio::buffer(frame), error);
    while (!error) {
      resp::ParsedValue parsed = resp::parse_value(unread_);
      if (parsed.status == resp::ParseStatus::complete) {
        unread_.erase(0, parsed.consumed);
        if (!parsed.value.is_error()) return std::move(parsed.value);
        error_ = "the console says: " + parsed.value.text;
        return std::nullopt;
      }
      if (parsed.status == resp::ParseStatus::malformed) {
        error_ = "what answers there is not fairlead's console; check 'listen' in [console]";
        return std::nullopt;
      }
      std::array<char, 4096> bytes{};
      const std::size_t size = socket_.read_some(asio::buffer(bytes), error);
      unread_.append(bytes.data(), size);
    }
    error_ = "the console has closed the connection: " + error.message();
    return std::nullopt;
  }

  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  asio::io_context io_;
  asio::generic::stream_protocol::socket socket_{io_};
  std::string unread_;
  std::string error_;
};

struct Screen {
  std::size_t rows = SIZE_MAX;
  std::size_t columns = SIZE_MAX;
};

Screen screen_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return {24, 80};
  return {size.ws_row, size.ws_col};
}

/// Every topic gets the rows it needs, the last ones what is left.
std::string compose(Conversation& console, const Screen& screen, std::string_view end_of_line) {
  std::string text;
  std::size_t rows_left = screen.rows - (screen.rows == SIZE_MAX ? 0 : 1);
  for (const std::string_view topic : topics) {
    const auto answer = console.ask({"SHOW", topic});
    if (!answer) return {};
    if (rows_left < 3) continue;
    text += fmt::format("{}{}{}", topic == topics.front() ? "" : end_of_line, topic, end_of_line);
    rows_left -= topic == topics.front() ? 1U : 2U;
    const std::size_t most = topic == "COMMANDS" || topic == "CLIENTS" ? rows_left / 2 + 1 : rows_left;
    std::size_t shown = 0;
    for (const resp::Value& line : answer->items) {
      if (shown++ >= most || rows_left == 0) break;
      text += line.text.substr(0, screen.columns);
      text += end_of_line;
      --rows_left;
    }
  }
  return text;
}

}  // namespace

int command_top(const CommandLine& line) {
  const ConfigResult config = load_config_of(line);
  if (!config.errors.empty()) {
    print_config_errors(config);
    return exit_config;
  }
  const Options& options = config.options;
  if (options.console.listen.empty()) {
    fmt::print(stderr,
               "fairlead top asks the console of the running fairlead, and this configuration has none; set "
               "'listen' in [console], or give --console\n");
    return exit_config;
  }
  Conversation console(options.console.listen.front());
  if (!options.stats.password.empty())
    (void)console.ask({"AUTH", options.stats.user, options.stats.password});
  const bool live = ::isatty(STDOUT_FILENO) == 1;
  while (true) {
    const std::string text =
        compose(console, live ? screen_of_terminal() : Screen{}, live ? "\x1b[K\n" : "\n");
    if (!console.error().empty()) {
      fmt::print(stderr, "fairlead top: {}\n", console.error());
      return exit_failure;
    }
    fmt::print("{}{}{}", live ? "\x1b[H" : "", text, live ? "\x1b[J" : "");
    std::fflush(stdout);
    if (!live) return exit_success;
    std::this_thread::sleep_for(refresh_interval);
  }
}

}  // namespace fairlead::proxy
