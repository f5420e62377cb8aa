// One client's connection: what it said and we have not handled, what it is owed and in which order, and what
// it waits for. Owned by the Engine; lives on one worker's thread. It never touches a link: the Engine moves
// requests.
//
//   in (ReadBuffer) --CommandReader--> Request --slots, in the client's order--> out (WriteQueue)
//
// A session sends to one link at a time; it changes to another one only when `in_flight` is zero. So replies
// come in order by construction, and commands on two links can never overtake each other.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <memory>
#include <optional>
#include <string>

#include "health/options.hpp"
#include "health/topology.hpp"
#include "proxy/engine/client_query.hpp"
#include "proxy/engine/io.hpp"
#include "proxy/engine/read_buffer.hpp"
#include "proxy/engine/request.hpp"
#include "proxy/engine/session_mode.hpp"
#include "proxy/engine/slot_array.hpp"
#include "proxy/engine/subscriptions.hpp"
#include "proxy/engine/timer_wheel.hpp"
#include "proxy/engine/write_queue.hpp"
#include "resp/command_reader.hpp"

namespace fairlead::engine {

using ListHook =
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Why the next command of a session is not handled yet.
enum class Wait : std::uint8_t {
  none,
  gate,      // no confirmed master; in the Engine's list of held sessions
  drain,     // replies of another link must come first
  lease,     // all leased links are taken
  backlog,   // the shared link has too much to write
  replies,   // the shared link is owed too many large replies
  depth,     // too many commands in flight
  output,    // the client does not read its replies
  pause,     // CLIENT PAUSE
  query,     // other workers are asked
  replicas,  // the new master has no good replicas yet, and refused a write; asked again by the session's
             // timer
};

enum class Ending : std::uint8_t {
  none,
  after_replies,  // QUIT, protocol error, half-closed, draining: close when all is answered and written
  now,
};

/// Who a session is to the servers. Interned: equal logins are one object, so that links are filed by its
/// address.
using UserPtr = std::shared_ptr<const health::Login>;

/// AUTH or HELLO AUTH that the server is asked to judge.
struct PendingLogin {
  UserPtr user;
  bool is_hello = false;
  int version = 0;                  // HELLO: 2, 3 or 0 (unchanged)
  std::optional<std::string> name;  // HELLO SETNAME
};

/// CLIENT TRACKING ON.
struct Tracking {
  std::int64_t redirect_client = 0;   // CLIENT ID of the client that gets the invalidations; 0: itself
  std::uint64_t redirect_server = 0;  // what the server calls that client's link
  std::uint64_t asked_client = 0;     // this client's link was asked for, of all workers; 0: of none
  std::uint64_t located_server = 0;   // and is this one; no_such_link: there is none
  bool ask_again = false;             // when the session's timer is due: that client is getting a link
  std::vector<std::string> commands;  // what makes the same again on another link
};

/// The MULTI block that is open on the session's link, as far as the server has answered it.
struct OpenBlock {
  std::string frames;       // MULTI and the commands whose QUEUED came
  std::uint32_t count = 0;  // of frames
  bool whole = true;        // false: too long to be kept, or one of its commands was refused
};

/// What few sessions need.
struct SessionExtras {
  std::string name;      // CLIENT SETNAME
  std::string lib_name;  // CLIENT SETINFO
  std::string lib_version;
  Subscriptions subscriptions;
  std::optional<PendingLogin> pending_login;
  OpenBlock block;
  Tracking tracking;
  std::optional<ClientQuery> pending_query;     // the server is asked whether this user may
  std::optional<std::string> transaction_name;  // CLIENT SETNAME inside MULTI: the name after EXEC
  std::optional<std::string> exec_name;         // the same, of the block whose EXEC is in flight
  /// What an earlier block, that ended without EXEC, wanted.
  void forget_block() {
    transaction_db = -1;
    transaction_name.reset();
  }
  std::int64_t transaction_db = -1;  // SELECT inside MULTI: the database after EXEC
};

struct Subscriber;

/// In cache lines of its own: see SlotArray.
struct alignas(cache_line_bytes) Session {
  Session(ConnId id_, std::uint64_t client_id_, const resp::CommandLimits& limits)
      : id(id_), reader(limits), client_id(client_id_) {
    timer.owner = this;
    timer.side = Side::client;
  }

  /// Appends an answer to the slots' end: goes out at once when nothing is before it. `bytes` is a whole
  /// reply.
  void answer(BufferPool& pool, RequestSlab& slab, std::string_view bytes);
  /// Moves the answers at the front of the slots to `out`.
  void flush_slots(BufferPool& pool, RequestSlab& slab);
  /// Where what is no part of a reply goes: behind the end of the one that is half written.
  [[nodiscard]] WriteQueue& queue_for_push();
  [[nodiscard]] SessionExtras& extras();
  [[nodiscard]] bool has_subscriptions() const { return extras_ && !extras_->subscriptions.empty(); }
  [[nodiscard]] const SessionExtras* extras_or_null() const { return extras_.get(); }
  /// RESET, and the beginning.
  void forget_extras() { extras_.reset(); }
  [[nodiscard]] bool idle() const { return slots.empty() && in.empty() && out.empty(); }

  // --- What every command touches: four cache lines. A test holds them to that (session_layout_test.cpp).
  ConnId id;
  Wait wait = Wait::none;
  Ending ending = Ending::none;
  Reading reading = Reading::on;
  bool heavy = false;        // moves large values: uses the bulk lane
  bool known_light = false;  // its last reply was small; of a newcomer nobody knows
  bool write_blocked = false;
  bool said_in_this_read = false;  // a command was handled since bytes last arrived
  bool on_hold = false;            // in the Engine's list of held sessions
  bool resubscribe = false;        // subscriptions must be made again on the next lease
  bool mid_reply = false;          // part of the front slot's reply is already in `out`
  SessionMode mode;
  ReadBuffer in;
  Subscriber* subscriber = nullptr;  // its place in the hub, while it has or asks for a subscription there
  SlotQueue slots;
  WriteQueue out;
  std::uint32_t in_flight = 0;  // requests in a link's FIFO
  std::uint32_t held = 0;       // requests to be dispatched again
  std::uint32_t db = 0;
  std::uint32_t window = 64;  // commands in flight at most: grows while replies are small
  const resp::CommandSpec* last_command = nullptr;  // of the Engine's table of now; for CLIENT LIST
  ConnId link_in_use;                               // where the requests in flight are
  std::uint32_t light_replies = 0;                  // small ones in a row since a large one
  ListHook dirty_hook;
  health::TimePoint
      held_since{};  // since then nothing of it was answered; zero: it does not wait for a master
  health::TimePoint last_bytes_at{};
  health::TimePoint active_at{};  // last read or write, as CLIENT LIST tells idle
  std::uint64_t reply_bytes = 0;  // of the front slot, so far
  UserPtr user;                   // null: fairlead's own login
  BackendLink* lease = nullptr;
  resp::CommandReader reader;  // of which a frame that is there as a whole needs the beginning

  // --- What few of them do
  std::uint64_t client_id;
  Timer timer;  // idle clients, unfinished commands
  health::TimePoint accepted_at{};
  ConnId promised_by;                   // the link that keeps a place for it, until it runs
  std::uint32_t large_frame_bytes = 0;  // of the last command that made it heavy
  health::TimePoint released_at{};      // when it last ceased to wait
  std::uint64_t held_bytes = 0;         // counted against hold_bytes_max
  ListHook wait_hook;
  ListHook run_hook;

 private:
  std::unique_ptr<SessionExtras> extras_;
};

}  // namespace fairlead::engine
