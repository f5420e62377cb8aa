// All options of the program in one plain struct, with their defaults. proxy/config fills it from the one list of
// options (flags > environment > file > default); everything else only reads it.
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
  bool freebind = false;           // bind an address that this node does not own yet (IP_FREEBIND)
  std::uint32_t threads = 0;       // workers; 0 = one per core
  std::chrono::milliseconds drain_timeout{10000};  // SIGTERM: how long commands in flight may take
  health::Options backend;
  engine::EngineOptions engine;
  StatsOptions stats;
  ConsoleOptions console;
  LogOptions log;
  std::string config_file;         // what --config named; empty: none
};

}  // namespace fairlead::proxy
