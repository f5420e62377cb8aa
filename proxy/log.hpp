// The log of the process: one line per record on standard error. Owned by the process; started once by a
// subcommand before any thread. Any thread may log; it is meant for the control thread, and workers must
// never log per command.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "health/event.hpp"
#include "proxy/log_format.hpp"

namespace fairlead::proxy {

/// Sets level and format; may be called again (reload). Before the first call level and format are the
/// defaults.
void start_log(const LogOptions& options);

/// Whether a record of this level would be written: for callers whose text is costly to make.
[[nodiscard]] bool log_enabled(LogLevel level);

void log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

/// One record with the event's kind and subject as fields. Repeats of the same kind and subject within a
/// second are counted and told together, with the field `repeated`, by the first call of any log function
/// afterwards.
void log_event(const health::Event& event);

/// Tells repeats whose second is over; for a slow timer of the control thread, so that the last ones do not
/// wait.
void log_repeats();

/// Tells all that was counted; for the end of the program.
void flush_log();

}  // namespace fairlead::proxy
