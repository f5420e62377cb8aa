// NOSCRIPT after a failover is healed before it happens: EVALSHA of a script that some client has shown here
// loads it first, when the server of now has not got it from us. Never after the fact, since what the client
// said behind its EVALSHA would have been executed before it then.
#include "proxy/engine/check.hpp"
#include "proxy/engine/engine.hpp"
#include "proxy/engine/script_cache.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

using resp::CommandId;
using resp::CommandView;

/// Before a command about scripts is appended to `link`.
void Engine::note_script(const Session& session, BackendLink& link, CommandId id,
                         const CommandView& command) {
  if (command.size() < 2) return;
  switch (id) {
    case CommandId::eval:
      learn_script(session, command[1]);
      break;
    case CommandId::script_load:
      if (command.size() == 3) learn_script(session, command[2]);
      break;
    case CommandId::script_flush:
      scripts_.clear();
      stats_.script_bytes_now = 0;
      io_.broadcast(script_query(QueryKind::forget_scripts, {}));
      break;
    case CommandId::evalsha:
      // Between MULTI and EXEC it would be queued, and answered there.
      if (!session.mode.in_multi) load_script(link, command[1]);
      break;
    default:
      break;
  }
}

/// A request that is dispatched again may be the first on the new master that needs its script.
void Engine::load_script_again(BackendLink& link, const Request& request) {
  if (request.id != CommandId::evalsha || request.traits.in_transaction || scripts_.empty()) return;
  load_script_of(link, request.frame.view());
}

/// Loads what the first of `frames` needs, if that is an EVALSHA. Returns its length.
std::size_t Engine::load_script_of(BackendLink& link, std::string_view frames) {
  // Of its own: a command that is about to be dispatched behind them may lie in the Engine's.
  resp::CommandScratch scratch;
  resp::CommandReader reader(options_.limits.command);
  const resp::CommandResult read = reader.read(frames, scratch, resp::LoginState::authenticated);
  FAIRLEAD_CHECK(read.status == resp::ReadStatus::command);
  const resp::CommandSpec* spec = table_->find(read.command);
  const bool needs = spec != nullptr && spec->id == CommandId::evalsha && read.command.size() > 1;
  if (needs) load_script(link, read.command[1]);
  return read.frame_bytes;
}

void Engine::learn_script(const Session& session, std::string_view source) {
  bool is_new = false;
  ScriptCache::Script* script = scripts_.add(source, is_new);
  stats_.script_bytes_now = scripts_.bytes();
  stats_.scripts_evicted = scripts_.evicted();
  if (script == nullptr) return;
  // A block may be discarded: then the server has not got it.
  if (!session.mode.in_multi) script->loaded = pool_.route_serial();
  if (is_new) io_.broadcast(script_query(QueryKind::learn_script, std::string(source)));
}

void Engine::load_script(BackendLink& link, std::string_view digest) {
  ScriptCache::Script* script = scripts_.find(digest);
  if (script == nullptr || script->loaded == link.route_serial) return;
  script->loaded = link.route_serial;
  Request* request = slab_.take();
  request->kind = RequestKind::swallow;
  std::string frame;
  resp::append_command(frame, {"SCRIPT", "LOAD", script->source});
  link.append(buffers_, request, frame);
  ++stats_.scripts_loaded;
}

/// What the other workers are told; their answers say nothing.
ClientQuery Engine::script_query(QueryKind kind, std::string source) {
  ClientQuery query;
  query.kind = kind;
  query.id = ++queries_asked_;
  query.script = std::move(source);
  return query;
}

void Engine::hear_of_script(const ClientQuery& query) {
  if (query.kind == QueryKind::forget_scripts) {
    scripts_.clear();
  } else {
    bool is_new = false;
    ScriptCache::Script* script = scripts_.add(query.script, is_new);
    // The other worker sent it to the server that it had then.
    if (script != nullptr && is_new) script->loaded = pool_.route_serial();
  }
  stats_.script_bytes_now = scripts_.bytes();
  stats_.scripts_evicted = scripts_.evicted();
}

}  // namespace fairlead::engine
