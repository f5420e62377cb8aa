#include "resp/server_error.hpp"

#include <array>
#include <limits>
#include <utility>

#include "resp/decimal.hpp"
#include "resp/slot.hpp"

namespace fairlead::resp {

namespace {

using Kind = ServerErrorKind;

// The error codes of redis 7.0 (server.c, createSharedObjects; cluster.c) that mean something to a proxy.
// Errors are rare: a walk over twenty words is nothing beside the round trip that brought one.
constexpr std::array<std::pair<std::string_view, Kind>, 20> kinds{{
    {"READONLY", Kind::read_only},
    {"LOADING", Kind::loading},
    {"MASTERDOWN", Kind::master_down},
    {"CLUSTERDOWN", Kind::cluster_down},
    {"TRYAGAIN", Kind::try_again},
    {"MOVED", Kind::moved},
    {"ASK", Kind::ask},
    {"UNBLOCKED", Kind::unblocked},
    {"NOREPLICAS", Kind::no_replicas},
    {"BUSY", Kind::busy},
    {"OOM", Kind::out_of_memory},
    {"MISCONF", Kind::misconf},
    {"NOSCRIPT", Kind::no_script},
    {"CROSSSLOT", Kind::cross_slot},
    {"EXECABORT", Kind::exec_abort},
    {"NOPERM", Kind::no_perm},
    {"NOAUTH", Kind::no_auth},
    {"WRONGPASS", Kind::wrong_pass},
    {"NOPROTO", Kind::no_proto},
    {"UNKILLABLE", Kind::unkillable},
}};

std::string_view take_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

// `3999 127.0.0.1:6379`. Redis writes IPv6 addresses without brackets, so the last colon is the one before
// the port. Words that make no sense leave the address without a port: the error is still a redirection, to
// nowhere known.
void read_redirection(std::string_view rest, ServerError& error) {
  const auto slot = parse_decimal(take_word(rest));
  const std::string_view endpoint = take_word(rest);
  const std::size_t colon = endpoint.rfind(':');
  if (!slot || *slot < 0 || *slot >= slot_count || colon == std::string_view::npos) return;
  const auto port = parse_decimal(endpoint.substr(colon + 1));
  if (!port || *port < 1 || *port > std::numeric_limits<std::uint16_t>::max()) return;
  error.slot = static_cast<std::uint16_t>(*slot);
  error.address.host = endpoint.substr(0, colon);
  error.address.port = static_cast<std::uint16_t>(*port);
}

}  // namespace

ServerError parse_server_error(std::string_view line) {
  ServerError error;
  const std::string_view code = take_word(line);
  for (const auto& [word, kind] : kinds) {
    if (word == code) error.kind = kind;
  }
  if (error.kind == Kind::moved || error.kind == Kind::ask) read_redirection(line, error);
  return error;
}

bool is_refusal(ServerErrorKind kind) {
  switch (kind) {
    case Kind::read_only:
    case Kind::loading:
    case Kind::master_down:
    case Kind::cluster_down:
    case Kind::try_again:
    case Kind::moved:
    case Kind::ask:
    case Kind::unblocked:
    case Kind::no_replicas:
      return true;
    default:
      return false;
  }
}

}  // namespace fairlead::resp
