// INFO's section about fairlead, and whom CLIENT PAUSE stops.
#include "proxy/engine/engine.hpp"
#include "proxy/engine/info_section.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

// --- INFO

/// INFO fairlead needs no server. False when the command must go to one.
bool Engine::answer_info(Session& session, const resp::CommandView& command) {
  const bool resp2_subscriber = session.mode.subscribed && session.mode.version == resp::Version::resp2;
  if (session.mode.in_multi || resp2_subscriber || info_need(command) != InfoNeed::ours) return false;
  if (session.user != nullptr) return false;  // whether this user may say INFO is the server's to judge
  ++stats_.commands_local;
  resp::append_verbatim(text_, info_section(), session.mode.version);
  answer(session, text_);
  return true;
}

std::string Engine::info_section() const {
  InfoFacts facts;
  facts.version = options_.program_version;
  facts.worker = worker_.number;
  facts.workers = worker_.count;
  facts.clients = stats_.clients_now;
  facts.links = stats_.links_now;
  facts.leases = stats_.leases_now;
  facts.held = stats_.held_now;
  if (pool_.route_serial() != 0) facts.route = resp::to_string(pool_.route().address);
  facts.route_state = gate_.open() ? "open" : "closed";
  facts.term = pool_.route().term;
  facts.uncertain = stats_.uncertain;
  facts.paused = pause_.scope() == PauseScope::all     ? "all"
                 : pause_.scope() == PauseScope::write ? "write"
                                                       : "no";
  std::string section;
  append_info_section(section, facts);
  return section;
}

/// The server's reply lies whole in the request. Whom a pause stops here would be blocked in the server.
void Engine::add_info(Request& request) {
  std::uint64_t blocked = 0;
  if (pause_.active()) {
    sessions_.for_each(
        [&blocked](const Session& session) { blocked += session.wait == Wait::pause ? 1U : 0U; });
  }
  const std::string section = request.adds_section ? info_section() : std::string();
  const std::string reply = with_section(request.reply.take_all(buffers_), section, blocked);
  request.reply.append_copy(buffers_, reply);
}

// --- CLIENT PAUSE

/// Whether something that must be dispatched again is stopped: it was not executed before the pause.
bool Engine::stopped_by_pause(const Session& session) const {
  if (pause_.scope() != PauseScope::write) return pause_.active();
  for (const Request* r = session.slots.front(); r != nullptr; r = r->next_slot) {
    if (r->state == RequestState::held && !r->traits.repeatable) return true;
  }
  return false;
}

void Engine::release_paused() {
  sessions_.for_each([this](Session& session) { wake(session, Wait::pause); });
}

}  // namespace fairlead::engine
