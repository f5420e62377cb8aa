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

/// The first `max` in this order, and only those.
template <typename T, typename Before>
void keep_first(std::vector<T>& list, std::size_t max, Before before) {
  const std::size_t count = std::min(list.size(), max);
  std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count), list.end(), before);
  list.resize(count);
}

const char* kind_of(const BackendLink& link) {
  if (link.leased) return link.owner != nullptr ? "leased" : "idle";
  switch (link.key.lane) {
    case hub_lane:
      return "subscriptions";
    case bulk_lane:
      return "bulk";
    case login_lane:
      return "logins";
    case admin_lane:
      return "admin";
    case unblock_lane:
      return "unblock";
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
  keep_first(all, clients_listed_max, has_more_to_do);
  for (const Session* session : all) snapshot.clients.push_back(describe_client(*session, now));
  std::vector<const BackendLink*> links;
  for (const BackendLink& link : pool_.all()) links.push_back(&link);
  keep_first(links, links_listed_max,
             [](const BackendLink* a, const BackendLink* b) { return a->fifo.size() > b->fifo.size(); });
  for (const BackendLink* link : links) snapshot.links.push_back(describe_link(*link, now));
  return snapshot;
}

}  // namespace fairlead::engine
