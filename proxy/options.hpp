// All options of the program in one plain struct, with their defaults. proxy/config fills it from the one
// list of options (flags > environment > file > default); everything else only reads it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "health/options.hpp"
#include "proxy/engine/limits.hpp"
#include "resp/address.hpp"

namespace fairlead::proxy {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { logfmt, json };

struct StatsOptions {
  std::vector<resp::Address> listen{{"127.0.0.1", 9000, false}};  // empty: no stats listener
  std::string user;
  std::string password;
  bool admin = false;
};

/// One of a pair beside keepalived. Without ready-file, notify-fifo and address it stands alone.
struct VrrpOptions {
  std::string notify_fifo;
  std::string ready_file;
  std::string address;  // that moves, with or without /prefix
  std::string instance = "fairlead";
  std::uint32_t warm_links = 16;  // of each worker; links-per-server is the limit
  // For `fairlead keepalived` alone.
  std::string interface;
  std::string node_a;
  std::string node_b;
  std::string user = "fairlead";
  std::uint32_t router_id = 51;
  std::chrono::milliseconds advert_interval{200};

  [[nodiscard]] bool in_pair() const {
    return !(notify_fifo.empty() && ready_file.empty() && address.empty());
  }
  /// The address without its prefix length.
  [[nodiscard]] std::string host() const { return address.substr(0, address.find('/')); }
};

/// The operator's console in RESP; user, password and admin are those of StatsOptions.
struct ConsoleOptions {
  std::vector<resp::Address> listen;  // empty: no console
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::logfmt;
};

struct Options {
  std::vector<resp::Address> listen{{"127.0.0.1", 6379, false}};
  bool freebind = false;      // bind an address that this node does not own yet (IP_FREEBIND)
  std::uint32_t threads = 0;  // workers; 0 = one per core
  std::chrono::milliseconds drain_timeout{10000};  // SIGTERM: how long commands in flight may take
  std::string state_dir;                           // where the last route is remembered; empty: nowhere
  health::Options backend;
  engine::EngineOptions engine;
  StatsOptions stats;
  VrrpOptions vrrp;
  ConsoleOptions console;
  LogOptions log;
  std::string config_file;  // what --config named; empty: none
};

}  // namespace fairlead::proxy
