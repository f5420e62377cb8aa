// Runs: what a pipeline is made of, plain commands of one name in a row. One request stands for all of them,
// so that what must be asked before a command may leave, and what is counted when its reply came, is done
// once for a run. Whatever is out of the ordinary, an error, a reply in pieces, a lost link, finds single
// commands: single_out() and split_runs() make them again. A part of Engine.
#include <algorithm>

#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

using health::TimePoint;

/// Dispatches the run that the session's unread bytes begin with, be it of one command. False when there is
/// none, or when anything but its replies must be thought of: then nothing was done, and handle() decides.
bool Engine::pump_run(Session& session, TimePoint now) {
  const bool nothing_special = session.mode.is_plain() && !session.mode.silent() &&
                               !session.mode.block_lost && session.subscriber == nullptr &&
                               !pause_.active() && session.reader.at_frame_start() &&
                               gate_.verdict(now) == GateVerdict::dispatch;
  if (!nothing_special) return false;
  BackendLink* const link = usual_link(session);
  if (link == nullptr) return false;
  std::size_t most = std::min(options_.limits.pipeline_depth_max, session.window) - session.slots.size();
  // Who gets small replies from a link with large ones does not stand in line as long as it asks for few.
  if (link->weight.bytes() >= bulk_bytes_min)
    most = std::min<std::size_t>(most, window_min - session.in_flight);
  const std::string_view unread = session.in.unread();
  const auto run_of = [&](const resp::CommandSpec* spec) {
    if (spec == nullptr || !is_plainly_shared(*spec, session.mode)) return resp::FrameRun{};
    return resp::plain_run(unread, spec->name_word, spec->name.size(), static_cast<std::uint32_t>(most),
                           reference_bytes_min, options_.limits.command);
  };
  // Clients repeat themselves: the name is looked up when it is another one.
  const resp::CommandSpec* spec = session.last_command;
  resp::FrameRun run = run_of(spec);
  if (run.frames == 0) {
    const std::string_view name = resp::plain_name(unread);
    spec = name.empty() ? nullptr : table_->find_word(name);
    run = run_of(spec);
  }
  if (run.frames == 0) return false;
  session.last_command = spec;
  Request* request = slab_.take();
  request->session = &session;
  request->commands = run.frames;
  describe_plain(*request, *spec);
  const std::string_view frames = unread.substr(0, run.bytes);
  telemetry_.begin_run(*request, session, *spec, frames, now);
  link->append(buffers_, request, frames);
  enter_flight(session, *link, request);
  stats_.commands_shared += run.frames;
  stats_.commands += run.frames;
  session.said_in_this_read = true;
  session.in.consume(run.bytes);
  return true;
}

/// The next command of the run becomes a request of its own; what follows it stays a run, behind it.
void Engine::single_out(Request& run) {
  const resp::CommandLimits& limits = options_.limits.command;
  for (; run.commands_done > 0; --run.commands_done) {
    const std::size_t size = resp::plain_frame_bytes(run.frame.view(), limits);
    run.frame.offset += static_cast<std::uint32_t>(size);
    run.frame.size -= static_cast<std::uint32_t>(size);
  }
  if (run.commands == 1) return;
  const auto size = static_cast<std::uint32_t>(resp::plain_frame_bytes(run.frame.view(), limits));
  FAIRLEAD_CHECK(size > 0 && size < run.frame.size && run.link != nullptr);
  Request* rest = slab_.take();
  static_cast<RequestFacts&>(*rest) = run;
  rest->commands = run.commands - 1;
  rest->frame = {run.frame.chunk, run.frame.offset + size, run.frame.size - size};
  run.commands = 1;
  run.frame.size = size;
  run.end_position = rest->end_position - rest->frame.size;
  run.link->fifo.split(&run, rest);
  if (run.session != nullptr) run.session->slots.split(&run, rest);
}

void Engine::split_runs(BackendLink& link) {
  for (Request* r = link.fifo.front(); r != nullptr; r = r->next_in_fifo) {
    if (r->is_run()) single_out(*r);
  }
}

}  // namespace fairlead::engine
