// The border between the pure Engine and the shell that owns sockets: what the Engine orders, and how
// connections are named. Production implements Io over Asio (proxy/worker), tests and the simulator over
// memory.
//
// Everything here lives on one worker's thread. An Io must never call back into the Engine from inside these
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "health/signal.hpp"
#include "resp/address.hpp"

namespace fairlead::engine {

enum class Side : std::uint8_t { client, backend };

/// The name of a connection: a slot and how often that slot was used. A name outlives its connection
/// harmlessly.
struct ConnId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: no connection
  Side side = Side::client;

  [[nodiscard]] bool valid() const { return generation != 0; }
  friend bool operator==(const ConnId&, const ConnId&) = default;
};

struct ConstBytes {
  const char* data = nullptr;
  std::size_t size = 0;
};

struct MutableBytes {
  char* data = nullptr;
  std::size_t size = 0;
};

enum class WriteStatus : std::uint8_t {
  done,         // everything given was taken
  would_block,  // less was taken; the Engine asks for wait_writable next
  failed,       // the connection is dead; the shell will not report it a second time
};

struct WriteResult {
  WriteStatus status = WriteStatus::done;
  std::size_t written = 0;
};

enum class Reading : std::uint8_t { on, off };

struct ClientQuery;

/// The ends of a client's connection, as CLIENT LIST writes them.
struct ConnectionNames {
  std::string address;        // of the client: `host:port`, `[v6]:port` or `/path:0`
  std::string local_address;  // the one it connected to
  int descriptor = -1;
  bool is_unix = false;
};

/// Gather writes take at most this many buffers in one call (Asio's limit for one system call).
constexpr std::size_t gather_max = 64;

class Io {
 public:
  Io() = default;
  Io(const Io&) = delete;
  Io& operator=(const Io&) = delete;
  virtual ~Io() = default;

  /// CLIENT ID of a client that connects now: unique in the process, and greater than all before, as Redis
  /// promises.
  [[nodiscard]] virtual std::uint64_t next_client_id() = 0;
  /// One non-blocking gather write.
  virtual WriteResult write(ConnId id, std::span<const ConstBytes> buffers) = 0;
  /// Report on_writable once, when the connection takes bytes again.
  virtual void wait_writable(ConnId id) = 0;
  /// Whether the shell reads from the connection. New connections are read.
  virtual void set_reading(ConnId id, Reading reading) = 0;
  /// Connect a backend link; answered by on_connected or on_connect_failed, never from inside this call.
  virtual void connect(ConnId id, const resp::Address& address) = 0;
  /// Close; nothing more is reported for this name.
  virtual void close(ConnId id) = 0;
  /// To the Monitor.
  virtual void signal(const health::Signal& signal) = 0;
  /// Has every other worker answer_query(); their answers come by on_query_answer, never from inside this
  /// call. Returns how many were asked.
  virtual std::uint32_t broadcast(const ClientQuery& query) = 0;
  /// Asks the system; for a client's connection only.
  [[nodiscard]] virtual ConnectionNames names(ConnId id) = 0;
};

}  // namespace fairlead::engine
