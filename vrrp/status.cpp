#include "vrrp/status.hpp"

#include <array>
#include <string_view>

namespace fairlead::vrrp {
namespace {

void append_metric(std::string& text, std::string_view name, std::string_view type, std::string_view help,
                   std::uint64_t value) {
  for (const std::string_view part :
       {std::string_view("# HELP "), name, std::string_view(" "), help, std::string_view("\n# TYPE "), name,
        std::string_view(" "), type, std::string_view("\n"), name, std::string_view(" ")}) {
    text.append(part);
  }
  text.append(std::to_string(value)).append("\n");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe(const Status& status) {
  const auto or_dash = [](const std::string& text) { return text.empty() ? std::string("-") : text; };
  std::string verdict = status.fit ? "fit" : "unfit: " + status.reason;
  const std::string expected = status.fit ? "0" : "1";
  if (!status.ready_file.empty() && status.ready_value != expected) {
    verdict += "; the ready-file says " + or_dash(status.ready_value) + ", written by somebody else";
  }
  return {
      {"instance", or_dash(status.instance)},
      {"address", or_dash(status.address)},
      {"address_here", status.address_here ? "yes" : "no"},
      {"for_seconds", std::to_string(status.since.count())},
      {"keepalived", to_string(status.state)},
      {"priority", std::to_string(status.priority)},
      {"verdict", verdict},
      {"ready_file", or_dash(status.ready_file)},
      {"ready_value", or_dash(status.ready_value)},
      {"guard", status.guard_up ? "up" : "down"},
      {"guard_restarts", std::to_string(status.guard_restarts)},
      {"gains", std::to_string(status.gains)},
      {"losses", std::to_string(status.losses)},
      {"clients_reset", std::to_string(status.clients_reset)},
      {"notify_lines", std::to_string(status.notify_lines)},
      {"notify_garbage", std::to_string(status.notify_garbage)},
  };
}

std::string render_metrics(const Status& status) {
  std::string text =
      "# HELP fairlead_vrrp_state 1 for the state that keepalived last said.\n# TYPE fairlead_vrrp_state "
      "gauge\n";
  constexpr std::array states{State::unknown, State::backup, State::master, State::fault, State::stopped};
  for (const State state : states) {
    text.append("fairlead_vrrp_state{state=\"").append(to_string(state)).append("\"} ");
    text.append(state == status.state ? "1\n" : "0\n");
  }
  append_metric(text, "fairlead_vrrp_address_here", "gauge",
                "1 while this host has the pair's address (netlink).", status.address_here ? 1 : 0);
  append_metric(text, "fairlead_vrrp_fit", "gauge",
                "1 while this process calls itself fit to have the address.", status.fit ? 1 : 0);
  append_metric(text, "fairlead_vrrp_guard_up", "gauge", "1 while the guard process answers.",
                status.guard_up ? 1 : 0);
  append_metric(text, "fairlead_vrrp_guard_restarts_total", "counter",
                "Times the guard process was started again.", status.guard_restarts);
  append_metric(text, "fairlead_vrrp_gains_total", "counter", "Times the address came to this host.",
                status.gains);
  append_metric(text, "fairlead_vrrp_losses_total", "counter", "Times the address left this host.",
                status.losses);
  append_metric(text, "fairlead_vrrp_clients_reset_total", "counter",
                "Clients let go because the address left.", status.clients_reset);
  append_metric(text, "fairlead_vrrp_notify_garbage_total", "counter",
                "Lines in keepalived's FIFO that could not be read.", status.notify_garbage);
  return text;
}

}  // namespace fairlead::vrrp
