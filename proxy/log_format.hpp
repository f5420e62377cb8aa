// How one record looks: logfmt or JSON, one line, whatever bytes the message holds. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/options.hpp"

namespace fairlead::proxy {

using LogField = std::pair<std::string_view, std::string>;

struct LogRecord {
  std::chrono::system_clock::time_point time;
  LogLevel level = LogLevel::info;
  std::string_view message;
  const LogField* fields = nullptr;
  std::size_t field_count = 0;
};

/// Under journald the time is left out, which the journal has, and the line begins with its priority: `<6>`.
enum class LogTarget : std::uint8_t { terminal, journal };

/// `ts=2026-01-02T03:04:05.678Z level=info msg="..." key=value`, or the same as a JSON object. Without
/// newline.
[[nodiscard]] std::string format_record(const LogRecord& record, LogFormat format, LogTarget target);

[[nodiscard]] const char* to_string(LogLevel level);

/// sd-daemon(3): 3 error, 4 warning, 6 informational, 7 debug.
[[nodiscard]] int journal_priority(LogLevel level);

}  // namespace fairlead::proxy
