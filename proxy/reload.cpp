#include "proxy/reload.hpp"

#include <array>
#include <string_view>

#include <fmt/format.h>

#include "proxy/config_option.hpp"

namespace fairlead::proxy {

namespace {

// Sockets, threads and links are made at start, and the place of memory and the pool's shape with them.
struct Fixed {
  std::string_view section;
  std::string_view key;
  void (*keep)(Options& to, const Options& running);
};

constexpr std::array fixed_options{
    Fixed{"proxy", "listen", [](Options& to, const Options& from) { to.listen = from.listen; }},
    Fixed{"proxy", "freebind", [](Options& to, const Options& from) { to.freebind = from.freebind; }},
    Fixed{"proxy", "threads", [](Options& to, const Options& from) { to.threads = from.threads; }},
    Fixed{"proxy", "pool-mode",
          [](Options& to, const Options& from) { to.engine.pool_mode = from.engine.pool_mode; }},
    Fixed{
        "proxy", "links-per-server",
        [](Options& to, const Options& from) { to.engine.links_per_server = from.engine.links_per_server; }},
    Fixed{"vrrp", "ready-file",
          [](Options& to, const Options& from) { to.vrrp.ready_file = from.vrrp.ready_file; }},
    Fixed{"vrrp", "notify-fifo",
          [](Options& to, const Options& from) { to.vrrp.notify_fifo = from.vrrp.notify_fifo; }},
    Fixed{"vrrp", "address", [](Options& to, const Options& from) { to.vrrp.address = from.vrrp.address; }},
    Fixed{"vrrp", "instance",
          [](Options& to, const Options& from) { to.vrrp.instance = from.vrrp.instance; }},
    Fixed{"vrrp", "warm-links",
          [](Options& to, const Options& from) { to.vrrp.warm_links = from.vrrp.warm_links; }},
    Fixed{"backend", "master-name",
          [](Options& to, const Options& from) { to.backend.master_name = from.backend.master_name; }},
    Fixed{"failover", "state-dir", [](Options& to, const Options& from) { to.state_dir = from.state_dir; }},
    Fixed{"stats", "listen", [](Options& to, const Options& from) { to.stats.listen = from.stats.listen; }},
    Fixed{"stats", "user", [](Options& to, const Options& from) { to.stats.user = from.stats.user; }},
    Fixed{"stats", "password",
          [](Options& to, const Options& from) { to.stats.password = from.stats.password; }},
    Fixed{"stats", "admin", [](Options& to, const Options& from) { to.stats.admin = from.stats.admin; }},
};

const Fixed* fixed_of(const Option& option) {
  for (const Fixed& fixed : fixed_options) {
    if (fixed.section == option.section && fixed.key == option.key) return &fixed;
  }
  return nullptr;
}

std::string secret_of(const Option& option, const Options& options) {
  if (option.kind != OptionKind::secret) return {};
  if (option.section == "backend") {
    return option.key == "password" ? options.backend.server_login.password
                                    : options.backend.sentinel_login.password;
  }
  return option.section == "clients" ? options.engine.client_password : options.stats.password;
}

std::string difference(const Option& option, const Options& running, const Options& wanted) {
  if (option.kind == OptionKind::secret_file) return {};
  if (option.kind == OptionKind::secret) {
    const bool same = secret_of(option, running) == secret_of(option, wanted);
    return same ? std::string() : fmt::format("[{}] {}", option.section, option.key);
  }
  const std::string before = option.show(running);
  const std::string after = option.show(wanted);
  if (before == after) return {};
  return fmt::format("[{}] {}: {} -> {}", option.section, option.key, before, after);
}

}  // namespace

ReloadPlan plan_reload(const Options& running, const Options& wanted) {
  ReloadPlan plan;
  plan.options = wanted;
  const bool other_kind = running.backend.sentinels.empty() != wanted.backend.sentinels.empty();
  for (const Option& option : option_list()) {
    const std::string text = difference(option, running, wanted);
    if (text.empty()) continue;
    const Fixed* const fixed = fixed_of(option);
    const bool is_kind =
        option.section == "backend" && (option.key == "sentinels" || option.key == "servers");
    if (fixed != nullptr) {
      fixed->keep(plan.options, running);
      plan.refused.push_back(text + ": only a restart changes it");
    } else if (is_kind && other_kind) {
      plan.options.backend.sentinels = running.backend.sentinels;
      plan.options.backend.servers = running.backend.servers;
      plan.refused.push_back(text + ": from Sentinels to servers, or back, only by a restart");
    } else {
      plan.changed.push_back(text);
      const bool failover =
          option.section == "failover" && (option.key == "early-promotion" || option.key == "strict" ||
                                           option.key == "lease" || option.key == "restarted");
      if (option.section == "backend" || failover) plan.backend = BackendChange::changed;
    }
  }
  complete_options(plan.options);
  return plan;
}

}  // namespace fairlead::proxy
