#include "vrrp/keepalived_conf.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace fairlead::vrrp {
namespace {

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '@' || c == ':';
  });
}

/// keepalived reads quotes, spaces and these marks of comments in its own way.
bool is_plain(std::string_view text) {
  return !text.empty() && text.find_first_of("\"'!#{}\\\n\t$~") == std::string_view::npos;
}

bool is_path(std::string_view text) {
  return is_plain(text) && text.front() == '/' && text.find(' ') == std::string_view::npos;
}

/// Takes a number of at most `max` off the front; false when there is none.
bool take_number(std::string_view& text, unsigned max) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > max) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

enum class Family : std::uint8_t { none, ipv4, ipv6 };

Family family_of(std::string_view host) {
  const std::string text(host);
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return Family::ipv4;
  const bool good = ::inet_pton(AF_INET6, text.c_str(), &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6);
  return good ? Family::ipv6 : Family::none;
}

/// Of an address with or without a prefix length.
Family family_with_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const Family family = family_of(text.substr(0, slash));
  if (slash == std::string_view::npos) return family;
  std::string_view length = text.substr(slash + 1);
  const bool good = take_number(length, family == Family::ipv4 ? 32 : 128) && length.empty();
  return good ? family : Family::none;
}

/// Seconds with as many digits as are needed: 0.2, 1, 0.05.
std::string seconds(std::chrono::milliseconds time) {
  std::string text = std::to_string(time.count() / 1000);
  std::string rest = std::to_string(1000 + time.count() % 1000).substr(1);
  while (!rest.empty() && rest.back() == '0') rest.pop_back();
  return rest.empty() ? text : text + "." + rest;
}

constexpr std::string_view template_text =
    R"(# keepalived.conf of node @node@ of the pair; made by `fairlead keepalived --node @node@`.
# Make it again instead of editing it: both nodes must agree.

global_defs {
  router_id @instance@_@node@
  vrrp_version 3
  enable_script_security
  script_user @user@
  # The process gets a higher priority by itself when its timers fire late: a late advert moves the address.
  max_auto_priority 50
  # One line per change of state, for fairlead.
  vrrp_notify_fifo @fifo@ @user@
  # Neighbours learn the owner at once, again a second later, and every 5 s.
  vrrp_garp_master_repeat 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_refresh 5
  # After a split the last word must be the real owner's: the one that gives way says so with a last advert, which
  # makes the other tell the neighbours once more. Without it they would go on sending to the one that gave way.
  vrrp_higher_prio_send_advert true
  vrrp_garp_lower_prio_repeat 3
  vrrp_garp_lower_prio_delay 1
  vrrp_check_unicast_src
}

# fairlead writes 1 there when it is unfit or leaves, its guard when it crashed or hangs; keepalived sees it within
# milliseconds. A host on which fairlead never ran is unfit.
track_file fairlead_ready {
  file @ready@
  weight 0
  init_file 1
}

# Behind the file, for what the file cannot tell: asks the running fairlead through its real port.
vrrp_script fairlead_check {
  script "@check@"
  interval 1
  timeout 1
  fall 2
  rise 1
  init_fail
}

vrrp_instance @instance@ {
  # Who has the address keeps it: both start as BACKUP, and nobody takes it back from a healthy owner.
  state BACKUP
  nopreempt
  interface @interface@
  virtual_router_id @router@
  # Close to 255, because the time to take over is 3 adverts and (256 - priority) / 256 of one, and the fraction alone
  # when the owner resigns: nobody answers clients meanwhile. They differ so that one of two owners gives way after a
  # split.
  priority @priority@
  advert_int @advert@
  unicast_src_ip @own@
  unicast_peer {
    @peer@
  }
  track_file {
    fairlead_ready
  }
  track_script {
    fairlead_check
  }
  virtual_ipaddress {
    @address@ dev @interface@
  }
}
)";

}  // namespace

std::vector<std::string> find_faults(const PairDescription& pair) {
  std::vector<std::string> faults;
  const auto want = [&faults](bool good, const char* key, const std::string& value, const char* what) {
    if (good) return;
    faults.push_back(std::string("'") + key + "' in [vrrp] " +
                     (value.empty() ? std::string("is missing") : "is '" + value + "'") + "; write " + what);
  };
  want(is_word(pair.instance), "instance", pair.instance, "a word, for example fairlead");
  const Family family = family_with_prefix(pair.address);
  want(family != Family::none, "address", pair.address,
       "the address that moves, for example 10.0.0.100/24 or fd00::100/64");
  want(is_word(pair.interface), "interface", pair.interface, "the interface that gets it, for example eth0");
  const auto is_own = [family](const std::string& node) {
    const Family own = family_of(node);
    return own != Family::none && (family == Family::none || own == family);
  };
  const char* const kind = family == Family::ipv6 ? "IPv6, as 'address' is" : "IPv4, as 'address' is";
  want(is_own(pair.nodes[0]), "node-a", pair.nodes[0],
       (std::string("the own address of the first host, ") + kind).c_str());
  want(is_own(pair.nodes[1]), "node-b", pair.nodes[1],
       (std::string("the own address of the second host, ") + kind).c_str());
  want(pair.nodes[0].empty() || pair.nodes[0] != pair.nodes[1], "node-b", pair.nodes[1],
       "another address than that of node-a");
  want(is_word(pair.user), "user", pair.user, "the user that runs fairlead");
  want(is_path(pair.ready_file), "ready-file", pair.ready_file, "an absolute path without spaces");
  want(is_path(pair.notify_fifo), "notify-fifo", pair.notify_fifo, "an absolute path without spaces");
  if (!is_plain(pair.check_command))
    faults.push_back(
        "the path of the program or of its configuration holds a "
        "character that keepalived reads in its own way; rename it");
  return faults;
}

std::string render(const PairDescription& pair, Node node) {
  const bool first = node == Node::a;
  struct Field {
    std::string_view name;
    std::string value;
  };
  const std::array fields{
      Field{"node", first ? "a" : "b"},
      Field{"instance", pair.instance},
      Field{"user", pair.user},
      Field{"fifo", pair.notify_fifo},
      Field{"ready", pair.ready_file},
      Field{"check", pair.check_command},
      Field{"interface", pair.interface},
      Field{"router", std::to_string(pair.router_id)},
      Field{"priority", first ? "254" : "253"},
      Field{"advert", seconds(pair.advert_interval)},
      Field{"own", pair.nodes[first ? 0 : 1]},
      Field{"peer", pair.nodes[first ? 1 : 0]},
      Field{"address", pair.address},
  };
  std::string text;
  std::string_view rest = template_text;
  while (!rest.empty()) {
    const std::size_t begin = rest.find('@');
    text.append(rest.substr(0, begin));
    if (begin == std::string_view::npos) break;
    const std::size_t end = rest.find('@', begin + 1);
    const std::string_view name = rest.substr(begin + 1, end - begin - 1);
    for (const Field& field : fields) {
      if (field.name == name) text.append(field.value);
    }
    rest.remove_prefix(end + 1);
  }
  return text;
}

}  // namespace fairlead::vrrp
