// One command on its way: from the client's frame to the answer in the client's order. Allocated from the
// Engine's slab, linked into the slots of its Session (client order) and, while a server owes the reply, into
// the FIFO of a BackendLink.
//
//   held ----> in_link ----> answered          in_link splits by the link's write position into
//     ^           |             ^               unsent | partial | sent (see BackendLink::sent_state)
//     `-----------'             |  link lost or refused, and the replay table allows it
//             asking -----------'  other workers are asked (query)
//
// When its session is gone, a request that a server still owes a reply for stays in the FIFO with session ==
// nullptr (abandoned) and its reply is dropped.
#pragma once

#include <cstdint>
#include <vector>

#include "health/topology.hpp"
#include "proxy/engine/write_queue.hpp"
#include "resp/command_table.hpp"

namespace fairlead::engine {

struct Session;
struct BackendLink;
struct CommandMeter;

enum class RequestKind : std::uint8_t {
  forward,     // the reply goes to the client
  swallow,     // our own command on a link; its reply is dropped
  synthesise,  // sends nothing; answered here when it reaches the front of a ready link's FIFO
  local,       // answered here; only keeps its place among the slots
  subscribe,   // SUBSCRIBE and its like; answered when the hub has all of its names
  query,       // waits for the answers of all workers; UNBLOCK and UNPAUSE then go to the server, never twice
};

enum class RequestState : std::uint8_t {
  held,
  in_link,
  in_hub,  // kind subscribe: in flight, but in no link's FIFO
  asking,  // kind query: the workers are asked
  answered,
};

/// What the replay table asks about a command.
struct RequestClass {
  bool repeatable = false;      // read-only and no script
  bool blocking = false;        // waits in the server
  bool in_transaction = false;  // queued between MULTI and EXEC
  bool is_exec = false;         // the EXEC of a MULTI that is open on its link
  bool script = false;          // its errors are the script author's text: never evidence about the server
};

/// What the client is told instead of the server's reply.
enum class ReplyOverride : std::uint8_t {
  none,
  null,        // EXEC after a lost WATCH: "a watched key changed"
  hello,       // HELLO's map after an AUTH that the server accepted
  exec_abort,  // EXEC after a command of the block was refused here
};

/// All that a request starts anew with when it is recycled, in one piece, so that nothing of an earlier
/// command stays behind and that forgetting it is a few wide stores.
struct RequestFacts {
  Session* session = nullptr;
  BackendLink* link = nullptr;        // in_link only
  CommandMeter* meter = nullptr;      // where it is counted when its reply came
  std::uint64_t end_position = 0;     // in the link's byte stream; the frame ends before it
  std::uint64_t refused_serial = 0;   // the route whose server has refused it before
  std::int64_t select_db = -1;        // SELECT: the database when it succeeds
  health::TimePoint dispatched_at{};  // blocking commands: its timeout runs since then
  health::TimePoint started{};        // when its client began to wait for it
  // A run of plain commands of one name, said one behind the other, is one request (engine_runs.cpp): so many
  // of its replies are still to come, and so many came. Their frames all lie in `frame`.
  std::uint32_t commands = 1;
  std::uint32_t commands_done = 0;
  std::uint32_t frames_expected =
      1;  // SUBSCRIBE family: confirmations to come; 0 = known when it is at the front
  RequestKind kind = RequestKind::forward;
  RequestState state = RequestState::held;
  resp::CommandId id = resp::CommandId::other;
  RequestClass traits;
  bool plain = false;            // nothing is asked of its reply but whether it is an error
  bool on_lease = false;         // belongs on the session's leased link
  bool silent = false;           // CLIENT REPLY: its reply is dropped
  bool adds_info = false;        // INFO: the server's reply is collected whole, since we change it
  bool ends_tracking = false;    // CLIENT TRACKING OFF, outside a transaction
  bool names_redirect = false;   // CLIENT GETREDIR, TRACKINGINFO: the reply tells a client of the server's
  bool adds_section = false;     // our section goes behind it
  bool ends_watch = false;       // EXEC of a block behind a WATCH: on another link it must fail
  bool lacked_replicas = false;  // refused with NOREPLICAS by a fresh route; that reply is kept
  ReplyOverride override_reply = ReplyOverride::none;

  /// MULTI, what is queued behind it, and what ends it.
  [[nodiscard]] bool is_run() const { return commands + commands_done > 1; }
  [[nodiscard]] bool in_block() const { return traits.in_transaction || traits.is_exec; }
  [[nodiscard]] bool ends_block() const {
    return traits.is_exec || (traits.in_transaction && id == resp::CommandId::discard);
  }
};

struct Request : RequestFacts {
  Request* next_slot = nullptr;
  Request* next_in_fifo = nullptr;
  Bytes frame;       // what was sent, kept until the reply came
  WriteQueue reply;  // parked: an answer whose turn has not come, or an error not judged yet
};

/// A singly linked queue through a member of the element. Its size is counted in commands.
template <Request* Request::*Next>
class RequestQueue {
 public:
  [[nodiscard]] bool empty() const { return head_ == nullptr; }
  [[nodiscard]] Request* front() const { return head_; }
  [[nodiscard]] Request* back() const { return tail_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  void push_back(Request* request) {
    request->*Next = nullptr;
    if (tail_ == nullptr) {
      head_ = request;
    } else {
      tail_->*Next = request;
    }
    tail_ = request;
    size_ += request->commands;
  }
  /// Of what `at` stood for, `rest` stands for a part now.
  void split(Request* at, Request* rest) {
    rest->*Next = at->*Next;
    at->*Next = rest;
    if (tail_ == at) tail_ = rest;
  }
  /// The front loses so many of its commands.
  void answered(std::uint32_t commands) { size_ -= commands; }
  Request* pop_front() {
    Request* request = head_;
    head_ = request->*Next;
    if (head_ == nullptr) tail_ = nullptr;
    request->*Next = nullptr;
    size_ -= request->commands;
    return request;
  }
  /// Cuts the queue behind `last` (nullptr: everything) and returns the head of what was cut off.
  Request* cut_after(Request* last) {
    Request* rest = last == nullptr ? head_ : last->*Next;
    if (last == nullptr) {
      head_ = tail_ = nullptr;
    } else {
      last->*Next = nullptr;
      tail_ = last;
    }
    for (Request* r = rest; r != nullptr; r = r->*Next) size_ -= r->commands;
    return rest;
  }

 private:
  Request* head_ = nullptr;
  Request* tail_ = nullptr;
  std::size_t size_ = 0;
};

using SlotQueue = RequestQueue<&Request::next_slot>;
using LinkFifo = RequestQueue<&Request::next_in_fifo>;

/// Recycles requests; owned by the Engine, outlives them.
class RequestSlab {
 public:
  RequestSlab() = default;
  RequestSlab(const RequestSlab&) = delete;
  RequestSlab& operator=(const RequestSlab&) = delete;
  ~RequestSlab();

  [[nodiscard]] Request* take() {
    if (free_ == nullptr) [[unlikely]]
      grow();
    Request* request = free_;
    free_ = request->next_slot;
    request->next_slot = nullptr;
    ++in_use_;
    return request;
  }
  void give_back(BufferPool& pool, Request* request) {
    request->reply.clear(pool);
    request->frame = Bytes{};
    static constexpr RequestFacts fresh;
    static_cast<RequestFacts&>(*request) = fresh;
    request->next_in_fifo = nullptr;
    request->next_slot = free_;
    free_ = request;
    --in_use_;
  }
  [[nodiscard]] std::size_t in_use() const { return in_use_; }

 private:
  void grow();

  Request* free_ = nullptr;
  std::vector<Request*> blocks_;
  std::size_t in_use_ = 0;
};

}  // namespace fairlead::engine
