#include "proxy/config_check.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "proxy/config_value.hpp"

namespace fairlead::proxy {
namespace {

class Checker {
 public:
  explicit Checker(ConfigDraft& draft) : draft_(draft), options_(draft.options) {}

  void check_listen();
  void check_backend();
  void check_logins();
  void check_stats();
  void check_limits();
  void check_vrrp();

 private:
  void fail(std::string text) { draft_.errors.push_back(std::move(text)); }
  void check_login(std::string_view user_key, std::string_view password_key, const health::Login& login);

  [[nodiscard]] const Mention* mention(std::string_view section, std::string_view key) const {
    const auto found = draft_.mentions.find(find_option(section, key));
    return found == draft_.mentions.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool failed(std::string_view section, std::string_view key) const {
    const Mention* const said = mention(section, key);
    return said != nullptr && said->reading == Reading::failed;
  }
  [[nodiscard]] bool secret_failed(std::string_view section, std::string_view key) const {
    return failed(section, key) || failed(section, std::string(key) + "-file");
  }
  [[nodiscard]] std::string origin(std::string_view section, std::string_view key) const {
    const Mention* const said = mention(section, key);
    return said == nullptr ? "default" : said->origin;
  }

  ConfigDraft& draft_;
  Options& options_;
};

void Checker::check_listen() {
  if (options_.listen.empty() && !failed("proxy", "listen")) {
    fail(
        fmt::format("{}: 'listen' in [proxy] is empty; name at least one address, for example 127.0.0.1:6379",
                    origin("proxy", "listen")));
  }
  for (const resp::Address& address : options_.stats.listen) {
    if (std::find(options_.listen.begin(), options_.listen.end(), address) == options_.listen.end()) continue;
    fail(fmt::format("{}: [stats] and [proxy] both listen on {}; give one of them another port",
                     origin("stats", "listen"), resp::to_string(address)));
  }
}

void Checker::check_backend() {
  const Mention* const servers = mention("backend", "servers");
  const Mention* const sentinels = mention("backend", "sentinels");
  const bool sentinels_named = !options_.backend.sentinels.empty() || failed("backend", "sentinels");
  if (sentinels_named && servers != nullptr && servers->style == NameStyle::compatible) {
    // Deployments that use Sentinel set REDIS_MASTER_HOST and the like beside it, for the first start of the
    // set. The Sentinels know better.
    options_.backend.servers.clear();
    draft_.mentions.erase(find_option("backend", "servers"));
    return;
  }
  if (!options_.backend.sentinels.empty() && !options_.backend.servers.empty()) {
    fail(fmt::format(
        "sentinels ({}) and servers ({}) are both given; remove one: Sentinels name the servers themselves",
        sentinels->origin, servers->origin));
  }
  const bool any_failed =
      failed("backend", "sentinels") || failed("backend", "servers") || draft_.file == Reading::failed;
  if (options_.backend.sentinels.empty() && options_.backend.servers.empty() && !any_failed) {
    fail(
        "no Redis to stand in front of: give the Sentinels (--sentinel HOST:PORT, FAIRLEAD_SENTINELS, or "
        "'sentinels' in "
        "[backend]) or, without Sentinel, the servers (--server HOST:PORT, FAIRLEAD_SERVERS, or 'servers' in "
        "[backend])");
  }
}

void Checker::check_login(std::string_view user_key, std::string_view password_key,
                          const health::Login& login) {
  const bool unknown = secret_failed("backend", password_key) || draft_.file == Reading::failed;
  if (login.username.empty() || !login.password.empty() || unknown) return;
  fail(fmt::format("{}: '{}' in [backend] needs a password; set '{}' or '{}-file' in [backend]",
                   origin("backend", user_key), user_key, password_key, password_key));
}

void Checker::check_logins() {
  check_login("username", "password", options_.backend.server_login);
  check_login("sentinel-username", "sentinel-password", options_.backend.sentinel_login);
}

void Checker::check_stats() {
  const StatsOptions& stats = options_.stats;
  const bool unknown = secret_failed("stats", "password") || draft_.file == Reading::failed;
  if (!stats.password.empty() || unknown) return;
  if (!stats.user.empty()) {
    fail(fmt::format("{}: 'user' in [stats] needs a password; set 'password' or 'password-file' in [stats]",
                     origin("stats", "user")));
    return;
  }
  for (const resp::Address& address : options_.console.listen) {
    if (is_loopback(address)) continue;
    fail(fmt::format(
        "{}: [console] listens on {}, which others can reach, without a password; set 'password' or "
        "'password-file' in [stats], or listen on 127.0.0.1",
        origin("console", "listen"), resp::to_string(address)));
  }
  for (const resp::Address& address : stats.listen) {
    if (is_loopback(address)) continue;
    fail(fmt::format(
        "{}: [stats] listens on {}, which others can reach, without a password; set 'password' or "
        "'password-file' in [stats] (FAIRLEAD_STATS_PASSWORD), or listen on 127.0.0.1",
        origin("stats", "listen"), resp::to_string(address)));
  }
}

void Checker::check_limits() {
  const auto& limits = options_.engine.limits;
  if (limits.output_pause_bytes <= limits.output_buffer_bytes_max) return;
  if (failed("proxy", "output-pause") || failed("proxy", "output-buffer")) return;
  fail(fmt::format(
      "output-pause ({}, {}) is larger than output-buffer ({}, {}); a client would be closed before its "
      "commands wait",
      format_size(limits.output_pause_bytes), origin("proxy", "output-pause"),
      format_size(limits.output_buffer_bytes_max), origin("proxy", "output-buffer")));
}

void Checker::check_vrrp() {
  const VrrpOptions& vrrp = options_.vrrp;
  const std::array<std::pair<const char*, const std::string*>, 2> paths{
      {{"ready-file", &vrrp.ready_file}, {"notify-fifo", &vrrp.notify_fifo}}};
  for (const auto& [key, path] : paths) {
    if (path->empty() || path->front() == '/') continue;
    fail(fmt::format("{}: '{}' in [vrrp] is '{}'; write an absolute path", origin("vrrp", key), key, *path));
  }
  in6_addr ignored{};
  if (!vrrp.address.empty() && ::inet_pton(AF_INET, vrrp.host().c_str(), &ignored) != 1 &&
      ::inet_pton(AF_INET6, vrrp.host().c_str(), &ignored) != 1) {
    fail(fmt::format("{}: 'address' in [vrrp] is '{}'; write an address such as 10.0.0.100 or 10.0.0.100/24",
                     origin("vrrp", "address"), vrrp.address));
  }
  if (!vrrp.notify_fifo.empty() && vrrp.address.empty()) {
    fail(fmt::format("{}: 'notify-fifo' in [vrrp] needs 'address', to know which clients an owner loses",
                     origin("vrrp", "notify-fifo")));
  }
}

}  // namespace

void check_options(ConfigDraft& draft) {
  Checker checker(draft);
  checker.check_listen();
  checker.check_backend();
  checker.check_logins();
  checker.check_stats();
  checker.check_limits();
  checker.check_vrrp();
}

}  // namespace fairlead::proxy
