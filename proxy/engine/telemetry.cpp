#include "proxy/engine/telemetry.hpp"

#include <algorithm>

#include "proxy/engine/request.hpp"
#include "proxy/engine/session.hpp"
#include "resp/keys.hpp"

namespace fairlead::engine {

using health::TimePoint;

namespace {

std::uint64_t nanoseconds_between(TimePoint from, TimePoint to) {
  return to <= from ? 0 : static_cast<std::uint64_t>(std::chrono::nanoseconds(to - from).count());
}

/// When everything is slow, the log would be written anew each second, at the cost of allocations per
/// command: the first ones of the second tell as much.
bool is_crowded(const SlowLog& log, TimePoint now) {
  return log.entries().size() == SlowLog::length_max &&
         now - log.entries().back().at < std::chrono::seconds(1);
}

}  // namespace

void Telemetry::start_clock(Request& request, const Session& session, const resp::CommandSpec* spec,
                            TimePoint now) {
  request.meter = &meter_of(spec);
  // Who waited for a master has waited since then.
  request.started = session.held_since == TimePoint{} ? now : session.held_since;
}

void Telemetry::begin(Request& request, const Session& session, const resp::CommandSpec* spec,
                      const resp::CommandView& command, TimePoint now) {
  start_clock(request, session, spec, now);
  if (--until_sample_ == 0) sample_key(spec, command, now);
}

void Telemetry::begin_run(Request& run, const Session& session, const resp::CommandSpec& spec,
                          std::string_view frames, TimePoint now) {
  start_clock(run, session, &spec, now);
  if (until_sample_ > run.commands) {
    until_sample_ -= run.commands;
  } else {
    sample_run(spec, frames, run.commands, now);
  }
}

void Telemetry::end(const Request& request, const Session& session, ReplyKind reply,
                    const resp::CommandTable& table, TimePoint now, std::uint32_t commands) {
  CommandMeter* const meter = request.meter;
  if (meter == nullptr) return;  // a command of our own
  meter->calls += commands;
  if (reply == ReplyKind::error) meter->errors += commands;
  const std::uint64_t duration = nanoseconds_between(request.started, now);
  meter->durations.add(duration, commands);
  std::uint64_t bytes = 0;  // of a run: none of its commands is large
  if (!request.is_run()) {
    const bool is_front = session.slots.front() == &request;
    bytes =
        std::max<std::uint64_t>(request.frame.size, is_front ? session.reply_bytes : request.reply.size());
  }
  const bool slow = slow_min_.count() > 0 && duration >= static_cast<std::uint64_t>(slow_min_.count()) &&
                    !meter->blocking && !is_crowded(slow_, now);
  if (slow || bytes >= big_bytes_min) {
    look_closer(request, session, table, commands, bytes, slow ? duration : 0, now);
  }
}

/// Reads the frames once more, which are kept until their replies came.
void Telemetry::look_closer(const Request& request, const Session& session, const resp::CommandTable& table,
                            std::uint32_t commands, std::uint64_t bytes, std::uint64_t duration_ns,
                            TimePoint now) {
  const resp::CommandLimits limits;
  std::string_view frames = request.frame.view();
  for (std::uint32_t i = 0; i < request.commands_done; ++i) {
    frames.remove_prefix(resp::plain_frame_bytes(frames, limits));
  }
  for (std::uint32_t i = 0; i < commands; ++i) {
    resp::CommandReader reader(limits);
    const resp::CommandResult read = reader.read(frames, scratch_, resp::LoginState::authenticated);
    if (read.status != resp::ReadStatus::command) return;
    frames.remove_prefix(read.frame_bytes);
    const resp::CommandSpec* spec = table.find(read.command);
    if (bytes >= big_bytes_min && spec != nullptr) {
      const bool whole = resp::find_keys(*spec, read.command, key_positions_);
      // A command with several keys does not say which of them is large.
      if (whole && key_positions_.size() == 1) {
        big_.add(read.command[key_positions_.front()], request.meter->name, bytes, now);
      }
    }
    if (duration_ns != 0 && !is_crowded(slow_, now)) note_slow(spec, read.command, session, duration_ns, now);
  }
}

void Telemetry::note_slow(const resp::CommandSpec* spec, const resp::CommandView& command,
                          const Session& session, std::uint64_t duration_ns, TimePoint now) {
  SlowCommand entry;
  entry.at = now;
  entry.duration_ns = duration_ns;
  entry.args = shown_args(spec, command);
  entry.client_id = session.client_id;
  if (const SessionExtras* extras = session.extras_or_null()) entry.client_name = extras->name;
  slow_.add(std::move(entry));
}

/// One of a run is due to be sampled.
void Telemetry::sample_run(const resp::CommandSpec& spec, std::string_view frames, std::uint32_t commands,
                           TimePoint now) {
  const resp::CommandLimits limits;
  for (std::uint32_t i = 1; i < until_sample_; ++i) {
    frames.remove_prefix(resp::plain_frame_bytes(frames, limits));
  }
  const std::uint32_t rest = commands - until_sample_;
  resp::CommandReader reader(limits);
  const resp::CommandResult read = reader.read(frames, scratch_, resp::LoginState::authenticated);
  sample_key(&spec, read.command, now);
  until_sample_ = until_sample_ > rest ? until_sample_ - rest : 1;
}

/// The next gap is random, so that a client's rhythm cannot hide a key from the samples.
void Telemetry::sample_key(const resp::CommandSpec* spec, const resp::CommandView& command, TimePoint now) {
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  until_sample_ = 1 + static_cast<std::uint32_t>(random_ % (2 * sample_interval - 1));
  if (now - decayed_at_ >= hot_key_half_life) {
    hot_.decay();
    decayed_at_ = now;
  }
  if (spec == nullptr) return;
  if (!resp::find_keys(*spec, command, key_positions_)) return;
  for (const std::uint32_t position : key_positions_) hot_.add(command[position]);
}

void Telemetry::forget_specs() {
  by_spec_.clear();
  last_spec_ = nullptr;
  last_meter_ = nullptr;
}

CommandMeter& Telemetry::find_meter(const resp::CommandSpec* spec) {
  CommandMeter*& meter = by_spec_[spec];
  // Clients cannot make meters at will: all unknown commands share one.
  if (meter == nullptr) meter = &meter_named(spec == nullptr ? "unknown" : spec->name, spec);
  last_spec_ = spec;
  last_meter_ = meter;
  return *meter;
}

CommandMeter& Telemetry::meter_named(const std::string& name, const resp::CommandSpec* spec) {
  CommandMeter*& meter = by_name_[name];
  if (meter == nullptr) {
    meters_.push_back(std::make_unique<CommandMeter>());
    meter = meters_.back().get();
    meter->name = name;
    using resp::CommandId;
    meter->blocking = spec != nullptr && (spec->is(resp::command_flag::blocking) ||
                                          spec->id == CommandId::wait || spec->id == CommandId::waitaof);
  }
  return *meter;
}

TelemetrySnapshot Telemetry::snapshot() const {
  TelemetrySnapshot copy;
  copy.commands.reserve(meters_.size());
  for (const auto& meter : meters_) copy.commands.push_back(*meter);
  copy.slow.assign(slow_.entries().begin(), slow_.entries().end());
  copy.hot = hot_.entries();
  copy.hot_samples = hot_.samples();
  copy.big = big_.entries();
  return copy;
}

}  // namespace fairlead::engine
