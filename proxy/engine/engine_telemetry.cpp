// What is told about clients and commands. Called when somebody looks, never per command.
#include <algorithm>

#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

using health::TimePoint;

namespace {

/// With ten thousand clients those are named that an operator would look for.
constexpr std::size_t clients_listed_max = 128;

std::string state_of(const Session& session) {
  if (session.on_hold) return "held";
  if (session.mode.monitor) return "monitor";
  if (session.mode.raw) return "raw";
  if (session.mode.subscribed || session.mode.in_hub) return "subscriber";
  if (session.mode.in_multi) return "transaction";
  if (session.mode.watching) return "watching";
  if (session.wait == Wait::lease) return "waits for a link";
  if (session.wait == Wait::output) return "does not read";
  if (!session.slots.empty() && session.slots.front()->traits.blocking) return "blocked";
  return session.slots.empty() ? "idle" : "active";
}

ClientRow describe_client(const Session& session, TimePoint now) {
  ClientRow row;
  row.conn = session.id;
  row.id = session.client_id;
  if (const SessionExtras* extras = session.extras_or_null()) row.name = extras->name;
  if (session.user) row.user = session.user->username;
  row.db = session.db;
  row.resp_version = session.mode.version == resp::Version::resp3 ? 3 : 2;
  row.in_flight = static_cast<std::uint32_t>(session.slots.size());
  row.unread_bytes = session.in.size();
  row.unsent_bytes = session.out.size();
  row.idle = std::chrono::duration_cast<std::chrono::milliseconds>(now - session.last_bytes_at);
  row.state = state_of(session);
  return row;
}

/// Held ones first, then by what they have under way, then the most recently heard.
bool has_more_to_do(const Session* a, const Session* b) {
  if (a->on_hold != b->on_hold) return a->on_hold;
  const auto load = [](const Session& s) { return s.in.size() + s.out.size() + s.slots.size(); };
  if (load(*a) != load(*b)) return load(*a) > load(*b);
  return a->last_bytes_at > b->last_bytes_at;
}

}  // namespace

TelemetrySnapshot Engine::telemetry(TimePoint now) {
  TelemetrySnapshot snapshot = telemetry_.snapshot();
  std::vector<const Session*> all;
  all.reserve(sessions_.size());
  sessions_.for_each([&](const Session& session) { all.push_back(&session); });
  const std::size_t count = std::min(all.size(), clients_listed_max);
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(), has_more_to_do);
  for (std::size_t i = 0; i < count; ++i) snapshot.clients.push_back(describe_client(*all[i], now));
  return snapshot;
}

}  // namespace fairlead::engine
