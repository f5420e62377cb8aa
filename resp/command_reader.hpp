// Reads one client's commands: multibulk and inline frames, with exactly the grammar of redis-server
// (networking.c, processMultibulkBuffer and processInlineBuffer; redis 7.0.15).
//
// Incremental: the owner passes the bytes from the first byte of the unfinished frame on; a call with more
// bytes goes on where the last one stopped and never looks at a byte twice. Nothing is allocated by an
// announced length, and nothing at all is kept between whole frames. Pure; owned by one Session; lives on its
// worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "resp/types.hpp"

namespace fairlead::resp {

/// One command as it lies in memory: argv as slices of a base buffer. Valid until the buffer or the scratch
/// changes.
class CommandView {
 public:
  CommandView() = default;
  CommandView(const char* base, const Slice* args, std::uint32_t count)
      : base_(base), args_(args), count_(count) {}

  [[nodiscard]] std::uint32_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::string_view operator[](std::uint32_t index) const {
    return {base_ + args_[index].offset, args_[index].size};
  }

 private:
  const char* base_ = nullptr;
  const Slice* args_ = nullptr;
  std::uint32_t count_ = 0;
};

/// Working memory of the reader, shared by all readers of one worker. Reused, so that a frame that arrives in
/// one piece costs no allocation.
struct CommandScratch {
  static constexpr std::uint32_t plain_args_max = 16;
  std::array<Slice, plain_args_max> plain_args;  // of a frame that read_plain_frame took
  std::vector<Slice> args;
  std::string inline_text;  // unquoted arguments of an inline command; args point into it then
};

struct CommandLimits {
  std::uint64_t bulk_bytes_max = 512ULL << 20;     // redis: proto-max-bulk-len
  std::uint32_t header_bytes_max = 64U << 10;      // redis: PROTO_INLINE_MAX_SIZE; never below 32
  std::uint32_t args_unauthenticated_max = 10;     // redis: before AUTH
  std::uint32_t bulk_unauthenticated_max = 16384;  // redis: before AUTH
};

enum class ReadStatus : std::uint8_t {
  need_more,  // the frame is not complete
  command,    // result.command holds a whole command
  nothing,    // a frame without a command was consumed: an empty line, *0, *-1
  error,      // protocol error: answer result.error, then close
};

struct CommandResult {
  ReadStatus status = ReadStatus::need_more;
  std::size_t frame_bytes = 0;  // command, nothing: bytes of the frame, to be consumed by the owner
  bool canonical = false;       // the frame may be forwarded byte by byte; otherwise it must be encoded anew
  CommandView command;
  std::string error;  // without "-ERR " and CRLF: `Protocol error: invalid bulk length`
};

enum class LoginState : std::uint8_t { authenticated, required };

/// The size of the frame that `frames` begins with when it is as nearly every frame is: canonical, with the
/// bytes of all its arguments there. 0 for any other.
[[nodiscard]] std::size_t plain_frame_bytes(std::string_view frames, const CommandLimits& limits);

/// The command's name in the frame that `frames` begins with, when the frame begins plainly and the name has
/// at most eight bytes: all that fit in a word. Empty for any other.
[[nodiscard]] std::string_view plain_name(std::string_view frames);

/// How many plain frames of one command stand in a row, and their size in bytes.
struct FrameRun {
  std::uint32_t frames = 0;
  std::size_t bytes = 0;
};
/// The run at the beginning of `unread` of plain frames, none of them of `size_max` bytes or more, whose
/// command is the one with this `name_word` (see CommandSpec) of `name_size` bytes. It ends after
/// `frames_max`.
[[nodiscard]] FrameRun plain_run(std::string_view unread, std::uint64_t name_word, std::size_t name_size,
                                 std::uint32_t frames_max, std::size_t size_max, const CommandLimits& limits);

class CommandReader {
 public:
  explicit CommandReader(const CommandLimits& limits) : limits_(&limits) {}

  /// Reads on in `unread`, which starts at the first byte of the unfinished frame and holds at least the
  /// bytes of the previous call for it. After `command` and `nothing` the reader is at the start of a new
  /// frame; after `error` it must not be used again.
  [[nodiscard]] CommandResult read(std::string_view unread, CommandScratch& scratch, LoginState login);

  /// While need_more: how many bytes, counted from the frame's first byte, must be there before the next call
  /// can make progress. A hint for the size of a buffer; never more than what the client announced.
  [[nodiscard]] std::uint64_t bytes_needed() const { return bytes_needed_; }

  /// True when no byte of a frame was read: nothing is kept.
  [[nodiscard]] bool at_frame_start() const { return state_ == State::start; }

 private:
  enum class State : std::uint8_t { start, count_header, bulk_header, bulk_payload, inline_line };
  enum class HeaderStatus : std::uint8_t { found, incomplete, too_big, wrong_mark };
  struct Header {
    HeaderStatus status = HeaderStatus::incomplete;
    std::optional<std::int64_t> number;  // found: empty when the text behind the mark is no number
  };

  [[nodiscard]] bool read_plain_frame(std::string_view unread, CommandScratch& scratch,
                                      CommandResult& result) const;
  ReadStatus read_multibulk(std::string_view unread, std::vector<Slice>& args, LoginState login,
                            std::string& error);
  void take_plain_bulks(std::string_view unread, std::vector<Slice>& args, LoginState login);
  ReadStatus read_count(std::string_view unread, LoginState login, std::string& error);
  ReadStatus read_bulk_length(std::string_view unread, LoginState login, std::string& error);
  ReadStatus read_inline(std::string_view unread, CommandScratch& scratch, std::string& error);
  Header read_header(std::string_view unread, char mark);
  HeaderStatus find_end(std::string_view unread, char terminator);
  void end_frame();

  const CommandLimits* limits_;
  std::uint64_t bytes_needed_ = 1;
  State state_ = State::start;
  bool canonical_ = true;
  bool nul_seen_ = false;          // redis looks for line ends with strchr: behind a NUL there is none
  std::uint32_t args_left_ = 0;    // arguments not read yet, once the count is known
  std::size_t scan_ = 0;           // first byte not looked at yet, from the frame's start
  std::size_t token_start_ = 0;    // start of the header or inline line at hand
  std::uint64_t bulk_bytes_ = 0;   // bulk_payload: bytes of the argument that begins at scan_
  std::vector<Slice> saved_args_;  // the arguments of a frame that is not complete yet
};

}  // namespace fairlead::resp
