#include "proxy/log_format.hpp"

#include <ctime>

#include <fmt/format.h>

namespace fairlead::proxy {
namespace {

bool is_continuation(unsigned char c) {
  return (c & 0xc0U) == 0x80U;
}

/// The bytes of the UTF-8 character that begins at `at`; 0 when there is none. Overlong forms, surrogates and
/// what is beyond U+10FFFF are none (RFC 3629, section 4).
std::size_t character_bytes(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(byte(i))) return 0;
  }
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return size;
}

/// The inside of a JSON string, which logfmt's quoted values share. Bytes that are no UTF-8 become U+FFFD, so
/// that one hostile name cannot make a line unreadable to a log collector.
std::string escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t size = character_bytes(text, at);
    const char c = text[at];
    if (size == 0) {
      result += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c == '\t') {
      result += "\\t";
    } else if (size == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += text.substr(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  return result;
}

/// What logfmt readers take without quotes.
bool is_plain(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\') return false;
  }
  return !text.empty();
}

std::string format_time(std::chrono::system_clock::time_point time) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const auto since = duration_cast<milliseconds>(time.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(since / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, since % 1000);
}

std::string format_logfmt(const LogRecord& record, LogTarget target) {
  std::string line;
  if (target == LogTarget::terminal) line = fmt::format("ts={} ", format_time(record.time));
  line += fmt::format("level={} msg=\"{}\"", to_string(record.level), escape(record.message));
  for (std::size_t i = 0; i < record.field_count; ++i) {
    const auto& [key, value] = record.fields[i];
    line +=
        is_plain(value) ? fmt::format(" {}={}", key, value) : fmt::format(" {}=\"{}\"", key, escape(value));
  }
  return line;
}

std::string format_json(const LogRecord& record, LogTarget target) {
  std::string line = "{";
  if (target == LogTarget::terminal) line += fmt::format("\"ts\":\"{}\",", format_time(record.time));
  line += fmt::format("\"level\":\"{}\",\"msg\":\"{}\"", to_string(record.level), escape(record.message));
  for (std::size_t i = 0; i < record.field_count; ++i) {
    const auto& [key, value] = record.fields[i];
    line += fmt::format(",\"{}\":\"{}\"", escape(key), escape(value));
  }
  return line + "}";
}

}  // namespace

std::string format_record(const LogRecord& record, LogFormat format, LogTarget target) {
  const std::string prefix =
      target == LogTarget::journal ? fmt::format("<{}>", journal_priority(record.level)) : "";
  return prefix + (format == LogFormat::json ? format_json(record, target) : format_logfmt(record, target));
}

const char* to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      break;
  }
  return "error";
}

int journal_priority(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return 7;
    case LogLevel::info:
      return 6;
    case LogLevel::warning:
      return 4;
    case LogLevel::error:
      break;
  }
  return 3;
}

}  // namespace fairlead::proxy
