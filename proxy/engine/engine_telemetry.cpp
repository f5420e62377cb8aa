// What is told about clients and commands. Called when somebody looks, never per command.
#include <algorithm>

#include "proxy/engine/engine.hpp"

namespace fairlead::engine {

using health::TimePoint;

namespace {

/// With ten thousand clients those are named that an operator would look for.
constexpr std::size_t clients_listed_max = 128;
constexpr std::size_t links_listed_max = 128;

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

const char* kind_of(const BackendLink& link) {
  if (link.leased) return link.owner != nullptr ? "leased" : "warm";
  switch (link.key.lane) {
    case hub_lane:
      return "subscriptions";
    case bulk_lane:
      return "bulk";
    case login_lane:
      return "logins";
    case admin_lane:
      return "admin";
    default:
      return "shared";
  }
}

const char* name_of(LinkState state) {
  switch (state) {
    case LinkState::connecting:
      return "connecting";
    case LinkState::login:
      return "login";
    case LinkState::ready:
      return "ready";
    case LinkState::draining:
      return "draining";
    case LinkState::closed:
      break;
  }
  return "closed";
}

LinkRow describe_link(const BackendLink& link, TimePoint now) {
  LinkRow row;
  row.conn = link.id;
  row.server = resp::to_string(link.address);
  row.kind = kind_of(link);
  row.state = name_of(link.state);
  if (link.user) row.user = link.user->username;
  row.db = link.key.db;
  row.resp_version = link.key.version == resp::Version::resp3 ? 3 : 2;
  if (link.owner != nullptr) row.owner_id = link.owner->client_id;
  row.in_flight = link.fifo.size();
  row.unsent_bytes = link.backlog();
  row.sent_bytes = link.written;
  row.received_bytes = link.received;
  row.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - link.opened_at);
  return row;
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
  std::vector<const BackendLink*> links;
  for (const BackendLink& link : pool_.all()) links.push_back(&link);
  const std::size_t listed = std::min(links.size(), links_listed_max);
  std::partial_sort(
      links.begin(), links.begin() + static_cast<std::ptrdiff_t>(listed), links.end(),
      [](const BackendLink* a, const BackendLink* b) { return a->fifo.size() > b->fifo.size(); });
  for (std::size_t i = 0; i < listed; ++i) snapshot.links.push_back(describe_link(*links[i], now));
  return snapshot;
}

}  // namespace fairlead::engine
