// One connection to a server: shared by many sessions, or leased by one. Requests are appended in order, the
// server answers in order; the FIFO pairs them. Owned by the BackendPool; lives on one worker's thread.
//
//   connecting -> login -> ready -> draining (its route was revoked: nothing is written any more, replies
//   still count)
//        `----------`---------`---------`--> closed
//
// Bytes are written only while ready: what is queued before is unsent, whatever happens to the link.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proxy/engine/link_login.hpp"
#include "proxy/engine/replay.hpp"
#include "proxy/engine/reply_weight.hpp"
#include "proxy/engine/request.hpp"
#include "proxy/engine/session.hpp"
#include "proxy/engine/timer_wheel.hpp"
#include "resp/reply_scanner.hpp"

namespace fairlead::engine {

enum class LinkState : std::uint8_t { connecting, login, ready, draining, closed };

/// A blocking command whose server the route has left (engine_unblock.cpp).
enum class Unblocking : std::uint8_t {
  no,
  asked,      // CLIENT UNBLOCK was said: the answer decides
  answering,  // it did not come in time, but its beginning did
};

/// Sessions may share a link, or take over one from another, when all of this is equal.
struct LinkKey {
  resp::Version version = resp::Version::resp2;
  std::uint32_t db = 0;
  bool db_kept = false;    // `user` logged in where the session was already: it needs no right to SELECT it
  std::uint32_t lane = 0;  // which of links_per_server; the named ones below are apart
  const health::Login* user = nullptr;  // interned by the Engine; null: fairlead's own login

  friend bool operator==(const LinkKey&, const LinkKey&) = default;
};

/// Asks a server that is no longer the route what became of the commands that wait there; short-lived.
constexpr std::uint32_t unblock_lane = 0xFFFB;
/// CLIENT UNBLOCK and UNPAUSE: kept off the links that a pause of the server stops.
constexpr std::uint32_t admin_lane = 0xFFFC;
/// Large frames and replies have a link of their own, so that small ones do not wait behind them.
constexpr std::uint32_t bulk_lane = 0xFFFE;
/// Carries nothing but clients' AUTH: each is judged by the server, and whom the link belongs to meanwhile is
/// no matter.
constexpr std::uint32_t login_lane = 0xFFFF;
/// Carries the subscriptions of all sessions of one user.
constexpr std::uint32_t hub_lane = 0xFFFD;

struct UserHub;

struct BackendLink {
  BackendLink(ConnId id_, LinkKey key_, resp::Address address_)
      : id(id_), key(key_), address(std::move(address_)) {
    timer.owner = this;
  }

  /// Copies a frame behind what waits to be written and puts `request` into the FIFO.
  void append(BufferPool& pool, Request* request, std::string_view frame) {
    request->frame = out.append_copy(pool, frame);
    enter(request, frame.size());
  }
  /// The same for bytes that lie in a chunk; large ones are referenced.
  void append(BufferPool& pool, Request* request, const Bytes& frame);
  /// A request without bytes (synthesise).
  void append(Request* request);
  /// How far the frame of a request in this link's FIFO got.
  [[nodiscard]] SentState sent_state(const Request& request) const;
  /// Bytes accepted by append and not yet by the socket.
  [[nodiscard]] std::uint64_t backlog() const { return out.size(); }
  [[nodiscard]] bool busy() const { return !fifo.empty(); }

  ConnId id;
  LinkKey key;
  resp::Address address;
  UserPtr user;                    // keeps key.user alive
  std::uint64_t route_serial = 0;  // the route it was opened for
  LinkState state = LinkState::connecting;
  LinkLogin login;
  resp::ReplyScanner scanner;
  LinkFifo fifo;
  WriteQueue greeting;  // the login packet: written while login, before anything of `out`
  WriteQueue out;
  ReplyWeight weight;             // of what came on it
  std::uint32_t promised = 0;     // places kept for sessions that stood in line for its replies
  std::uint64_t reply_bytes = 0;  // of the reply that is being received, so far
  WriteQueue assembly;  // a frame that must be whole before it is judged or passed on (pushes, subscribers)
  std::uint64_t received = 0;  // bytes that came on it
  health::TimePoint opened_at{};
  std::uint64_t appended = 0;  // stream position behind the last byte of `out`
  std::uint64_t written = 0;   // stream position of what the socket took
  Session* owner = nullptr;    // the session that leases it
  UserHub* hub = nullptr;      // whose subscriptions it carries
  bool leased = false;         // not shared: leased now, or idle among the leasable
  bool unclean = false;        // may carry state of its last owner: closed instead of used again
  bool write_blocked = false;
  Unblocking unblocking = Unblocking::no;
  std::optional<std::string> name{""};  // what CLIENT SETNAME called it; nothing: only the server knows
  std::int64_t subscription_count = 0;  // as the server last confirmed, in stream order
  Timer timer;                          // connect and login, or the end of draining

  ListHook dirty_hook;
  ListHook pool_hook;  // the pool's list of all links

 private:
  void enter(Request* request, std::uint64_t size) {
    appended += size;
    request->end_position = appended;
    request->link = this;
    request->state = RequestState::in_link;
    fifo.push_back(request);
  }
};

}  // namespace fairlead::engine
