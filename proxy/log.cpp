#include "proxy/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "proxy/log_repeat.hpp"

namespace fairlead::proxy {
namespace {

LogLevel level_of(health::Severity severity) {
  switch (severity) {
    case health::Severity::debug:
      return LogLevel::debug;
    case health::Severity::info:
      return LogLevel::info;
    case health::Severity::warning:
      return LogLevel::warning;
    case health::Severity::error:
      break;
  }
  return LogLevel::error;
}

/// systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream to the journal; a child whose
/// standard error was redirected inherits the variable but not the stream.
LogTarget find_target() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return LogTarget::terminal;
  const bool same = fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
  return same ? LogTarget::journal : LogTarget::terminal;
}

class Log {
 public:
  Log();
  void start(const LogOptions& options);
  [[nodiscard]] bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }
  void write(LogLevel level, std::string_view message, const LogField* fields, std::size_t count);
  void write_event(const health::Event& event);
  void tell_finished();
  void tell_all();

 private:
  /// What is needed to tell the repeats of a key.
  struct Repeated {
    LogLevel level = LogLevel::info;
    std::string kind;
    std::string subject;
  };

  void tell(const std::vector<RepeatFilter::Summary>& summaries);

  spdlog::logger logger_;
  const LogTarget target_;
  std::atomic<LogLevel> level_{LogLevel::info};
  std::atomic<LogFormat> format_{LogFormat::logfmt};
  std::mutex repeats_mutex_;
  RepeatFilter repeats_;
  std::map<std::string, Repeated> repeated_;
};

Log::Log() : logger_("fairlead", std::make_shared<spdlog::sinks::stderr_sink_mt>()), target_(find_target()) {
  logger_.set_pattern("%v");
  logger_.set_level(spdlog::level::trace);
  logger_.flush_on(spdlog::level::trace);
}

void Log::start(const LogOptions& options) {
  level_ = options.level;
  format_ = options.format;
}

void Log::write(LogLevel level, std::string_view message, const LogField* fields, std::size_t count) {
  if (!enabled(level)) return;
  const LogRecord record{std::chrono::system_clock::now(), level, message, fields, count};
  // The text is an argument, never the format: it may hold braces.
  logger_.log(spdlog::level::info, "{}",
              format_record(record, format_.load(std::memory_order_relaxed), target_));
}

void Log::write_event(const health::Event& event) {
  const LogLevel level = level_of(event.severity);
  if (!enabled(level)) return;
  const Repeated about{level, health::to_string(event.kind),
                       event.subject == resp::Address{} ? "" : resp::to_string(event.subject)};
  const std::string key = fmt::format("{} {} {}", about.kind, to_string(level), about.subject);
  const std::scoped_lock lock(repeats_mutex_);
  if (repeats_.admit(key, event.text, std::chrono::steady_clock::now()) == RepeatFilter::Verdict::counted) {
    repeated_.insert_or_assign(key, about);
    return;
  }
  const LogField fields[] = {{"event", about.kind}, {"subject", about.subject}};
  write(level, event.text, fields, about.subject.empty() ? 1 : 2);
}

void Log::tell_finished() {
  const std::scoped_lock lock(repeats_mutex_);
  tell(repeats_.take_finished(std::chrono::steady_clock::now()));
}

void Log::tell_all() {
  const std::scoped_lock lock(repeats_mutex_);
  tell(repeats_.take_all());
  logger_.flush();
}

void Log::tell(const std::vector<RepeatFilter::Summary>& summaries) {
  for (const RepeatFilter::Summary& summary : summaries) {
    const auto node = repeated_.extract(summary.key);
    if (node.empty()) continue;
    const Repeated& about = node.mapped();
    const LogField fields[] = {
        {"event", about.kind}, {"repeated", std::to_string(summary.count)}, {"subject", about.subject}};
    write(about.level, summary.last_text, fields, about.subject.empty() ? 2 : 3);
  }
}

/// Never destroyed: a thread that ends late may still log.
Log& the_log() {
  static Log* const log = new Log;
  return *log;
}

}  // namespace

void start_log(const LogOptions& options) {
  the_log().start(options);
}

bool log_enabled(LogLevel level) {
  return the_log().enabled(level);
}

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  the_log().tell_finished();
  the_log().write(level, message, fields.begin(), fields.size());
}

void log_event(const health::Event& event) {
  the_log().tell_finished();
  the_log().write_event(event);
}

void log_repeats() {
  the_log().tell_finished();
}

void flush_log() {
  the_log().tell_all();
}

}  // namespace fairlead::proxy
