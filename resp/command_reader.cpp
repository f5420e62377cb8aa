#include "resp/command_reader.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

#include "resp/decimal.hpp"
#include "resp/inline_splitter.hpp"
#include "resp/name_fold.hpp"

namespace fairlead::resp {

namespace {

// Slices hold 32-bit offsets. The owner's own limit of unread bytes is far below; this one only keeps them
// true.
constexpr std::uint64_t frame_bytes_max = std::numeric_limits<std::uint32_t>::max();
constexpr std::int64_t args_max = std::numeric_limits<std::int32_t>::max();  // redis: INT_MAX

/// Behind `count` arguments that begin at `at`; nullptr when one of them is unusual or not there as a whole.
const char* skip_plain_args(const char* at, const char* end, std::uint32_t count,
                            const CommandLimits& limits) {
  for (; count != 0; --count) {
    std::uint32_t size = 0;
    if (at == end || *at != '$') return nullptr;
    at = read_plain_line(at + 1, end, size);
    if (at == nullptr || size > limits.bulk_bytes_max || end - at < std::ptrdiff_t{size} + 2) return nullptr;
    at += size + 2;
    if (at[-2] != '\r' || at[-1] != '\n') return nullptr;
  }
  return at;
}

/// Behind the `*n` of a frame; nullptr when it is unusual.
const char* read_plain_count(const char* at, const char* end, std::uint32_t& count) {
  if (at == end || *at != '*') return nullptr;
  at = read_plain_line(at + 1, end, count);
  return count == 0 ? nullptr : at;
}

bool is_named(const char* arg, const char* end, std::uint64_t word, std::size_t size) {
  const char* const name = arg + 4;  // behind `$n` and CRLF: names of one word have at most eight bytes
  return end - name >= static_cast<std::ptrdiff_t>(size) && arg[1] == static_cast<char>('0' + size) &&
         fold(load_up_to_8(name, size)) == word;
}

}  // namespace

std::size_t plain_frame_bytes(std::string_view frames, const CommandLimits& limits) {
  const char* const end = frames.data() + frames.size();
  std::uint32_t count = 0;
  const char* at = read_plain_count(frames.data(), end, count);
  if (at != nullptr) at = skip_plain_args(at, end, count, limits);
  return at == nullptr ? 0 : static_cast<std::size_t>(at - frames.data());
}

std::string_view plain_name(std::string_view frames) {
  const char* const end = frames.data() + frames.size();
  std::uint32_t count = 0;
  const char* const arg = read_plain_count(frames.data(), end, count);
  if (arg == nullptr || end - arg < 4 || arg[0] != '$' || arg[1] < '1' || arg[1] > '8') return {};
  const auto size = static_cast<std::size_t>(arg[1] - '0');
  if (arg[2] != '\r' || arg[3] != '\n' || static_cast<std::size_t>(end - arg) < 4 + size) return {};
  return {arg + 4, size};
}

FrameRun plain_run(std::string_view unread, std::uint64_t name_word, std::size_t name_size,
                   std::uint32_t frames_max, std::size_t size_max, const CommandLimits& limits) {
  FrameRun run;
  if (name_word == 0) return run;
  const char* const base = unread.data();
  const char* const end = base + unread.size();
  // What the first frame begins with, up to its first argument; the next ones begin alike, or are read anew.
  std::string_view head;
  std::uint32_t head_args = 0;
  for (const char* frame = base; run.frames < frames_max; ++run.frames) {
    std::uint32_t count = head_args;
    const char* at = frame + head.size();
    if (head.empty() ||
        std::string_view(frame, static_cast<std::size_t>(end - frame)).substr(0, head.size()) != head) {
      at = read_plain_count(frame, end, count);
      if (at == nullptr || end - at < 4 || !is_named(at, end, name_word, name_size)) break;
      at = skip_plain_args(at, end, 1, limits);
      if (at == nullptr) break;
      head = {frame, static_cast<std::size_t>(at - frame)};
      head_args = count;
    }
    at = skip_plain_args(at, end, count - 1, limits);
    if (at == nullptr || static_cast<std::size_t>(at - frame) >= size_max) break;
    frame = at;
    run.bytes = static_cast<std::size_t>(at - base);
  }
  return run;
}

CommandResult CommandReader::read(std::string_view unread, CommandScratch& scratch, LoginState login) {
  assert(unread.size() >= scan_);
  CommandResult result;
  const bool resumed = state_ != State::start;
  if (!resumed) {
    if (unread.empty()) return result;
    if (login == LoginState::authenticated && read_plain_frame(unread, scratch, result)) return result;
    state_ = unread.front() == '*' ? State::count_header : State::inline_line;
    scratch.args.clear();
  }

  const char* base = unread.data();
  if (state_ == State::inline_line) {
    result.status = read_inline(unread, scratch, result.error);
    base = scratch.inline_text.data();
  } else if (!resumed) {
    result.status = read_multibulk(unread, scratch.args, login, result.error);
    // The copy is as large as what arrived: a client that stalls now keeps no more than that.
    if (result.status == ReadStatus::need_more) saved_args_ = scratch.args;
  } else {
    result.status = read_multibulk(unread, saved_args_, login, result.error);
    if (result.status == ReadStatus::command && saved_args_.size() <= scratch.args.capacity()) {
      scratch.args.assign(saved_args_.begin(), saved_args_.end());
    } else if (result.status == ReadStatus::command) {
      scratch.args.swap(saved_args_);
    }
  }

  if (result.status == ReadStatus::need_more) return result;
  if (result.status == ReadStatus::command) {
    result.command = CommandView(base, scratch.args.data(), static_cast<std::uint32_t>(scratch.args.size()));
    result.canonical = canonical_;
  }
  if (result.status != ReadStatus::error) result.frame_bytes = scan_;
  end_frame();
  return result;
}

// Nearly every frame: few arguments, plain headers, all of it there. It is taken in one go, without the state
// that a frame in pieces needs: a third of the instructions. False, having changed nothing, for any other
// frame, which is then read from its start.
bool CommandReader::read_plain_frame(std::string_view unread, CommandScratch& scratch,
                                     CommandResult& result) const {
  const char* const base = unread.data();
  const char* const end = base + std::min<std::uint64_t>(unread.size(), frame_bytes_max);
  std::uint32_t count = 0;
  if (*base != '*') return false;
  const char* at = read_plain_line(base + 1, end, count);
  if (at == nullptr || count == 0 || count > CommandScratch::plain_args_max) return false;
  Slice* arg = scratch.plain_args.data();
  for (const Slice* const args_end = arg + count; arg != args_end; ++arg) {
    if (at == end || *at != '$') return false;
    at = read_plain_line(at + 1, end, arg->size);
    if (at == nullptr || arg->size > limits_->bulk_bytes_max) return false;
    if (end - at < std::ptrdiff_t{arg->size} + 2) return false;
    arg->offset = static_cast<std::uint32_t>(at - base);
    at += arg->size + 2;
    if (at[-2] != '\r' || at[-1] != '\n') return false;
  }
  result.status = ReadStatus::command;
  result.canonical = true;
  result.frame_bytes = static_cast<std::size_t>(at - base);
  result.command = CommandView(base, scratch.plain_args.data(), count);
  return true;
}

// Answers `command` when the last argument was read.
ReadStatus CommandReader::read_multibulk(std::string_view unread, std::vector<Slice>& args, LoginState login,
                                         std::string& error) {
  if (state_ == State::count_header) {
    const ReadStatus status = read_count(unread, login, error);
    if (status != ReadStatus::command) return status;
  }
  for (;;) {
    if (state_ == State::bulk_header) {
      take_plain_bulks(unread, args, login);
      if (args_left_ == 0) return ReadStatus::command;
      const ReadStatus status = read_bulk_length(unread, login, error);
      if (status != ReadStatus::command) return status;
    }
    const std::size_t bulk_end = scan_ + bulk_bytes_;
    if (unread.size() < bulk_end + 2) {
      bytes_needed_ = bulk_end + 2;
      return ReadStatus::need_more;
    }
    args.push_back({static_cast<std::uint32_t>(scan_), static_cast<std::uint32_t>(bulk_bytes_)});
    // Redis skips two bytes here whatever they are. So does this reader, but such a frame is not passed on as
    // it is.
    if (unread[bulk_end] != '\r' || unread[bulk_end + 1] != '\n') canonical_ = false;
    scan_ = token_start_ = bulk_end + 2;
    if (--args_left_ == 0) return ReadStatus::command;
    state_ = State::bulk_header;
  }
}

// The hot path: arguments with plain headers that are there as a whole. It stops, having taken nothing of it,
// at the first one that is incomplete or unusual or over a limit, which the slow path then judges.
void CommandReader::take_plain_bulks(std::string_view unread, std::vector<Slice>& args, LoginState login) {
  if (scan_ != token_start_) return;  // the header at hand was looked at before
  const std::uint64_t bulk_max =
      login == LoginState::required
          ? std::min<std::uint64_t>(limits_->bulk_bytes_max, limits_->bulk_unauthenticated_max)
          : limits_->bulk_bytes_max;
  const char* const base = unread.data();
  const char* const end = base + std::min<std::uint64_t>(unread.size(), frame_bytes_max);
  const char* at = base + scan_;
  std::uint32_t args_left = args_left_;
  while (args_left != 0 && at != end && *at == '$') {
    std::uint32_t size = 0;
    const char* const payload = read_plain_line(at + 1, end, size);
    if (payload == nullptr || size > bulk_max || end - payload < std::ptrdiff_t{size} + 2) break;
    args.push_back({static_cast<std::uint32_t>(payload - base), size});
    at = payload + size + 2;
    // Redis skips the two bytes behind a bulk whatever they are. So does this reader, but such a frame is not
    // passed on as it is.
    if (at[-2] != '\r' || at[-1] != '\n') canonical_ = false;
    --args_left;
  }
  args_left_ = args_left;
  scan_ = token_start_ = static_cast<std::size_t>(at - base);
}

// Reads `*n`. Answers `command` when the arguments follow.
ReadStatus CommandReader::read_count(std::string_view unread, LoginState login, std::string& error) {
  const Header header = read_header(unread, '*');
  if (header.status == HeaderStatus::incomplete) return ReadStatus::need_more;
  if (header.status == HeaderStatus::too_big) {
    error = "Protocol error: too big mbulk count string";
    return ReadStatus::error;
  }
  if (!header.number || *header.number > args_max) {
    error = "Protocol error: invalid multibulk length";
    return ReadStatus::error;
  }
  if (*header.number > limits_->args_unauthenticated_max && login == LoginState::required) {
    error = "Protocol error: unauthenticated multibulk length";
    return ReadStatus::error;
  }
  if (*header.number <= 0) return ReadStatus::nothing;
  args_left_ = static_cast<std::uint32_t>(*header.number);
  token_start_ = scan_;
  state_ = State::bulk_header;
  return ReadStatus::command;
}

// Reads `$n`. Answers `command` when the payload follows.
ReadStatus CommandReader::read_bulk_length(std::string_view unread, LoginState login, std::string& error) {
  const Header header = read_header(unread, '$');
  if (header.status == HeaderStatus::incomplete) return ReadStatus::need_more;
  if (header.status == HeaderStatus::too_big) {
    error = "Protocol error: too big bulk count string";
    return ReadStatus::error;
  }
  if (header.status == HeaderStatus::wrong_mark) {
    // A carriage return or line feed in an error would end it early: redis writes a space for either.
    const char got = unread[token_start_];
    error = "Protocol error: expected '$', got '";
    error.push_back(got == '\r' || got == '\n' ? ' ' : got);
    error.push_back('\'');
    return ReadStatus::error;
  }
  if (!header.number || *header.number < 0 ||
      static_cast<std::uint64_t>(*header.number) > limits_->bulk_bytes_max) {
    error = "Protocol error: invalid bulk length";
    return ReadStatus::error;
  }
  if (*header.number > limits_->bulk_unauthenticated_max && login == LoginState::required) {
    error = "Protocol error: unauthenticated bulk length";
    return ReadStatus::error;
  }
  bulk_bytes_ = static_cast<std::uint64_t>(*header.number);
  if (scan_ + 2 > frame_bytes_max || bulk_bytes_ > frame_bytes_max - scan_ - 2) {
    error = "Protocol error: too big query";
    return ReadStatus::error;
  }
  state_ = State::bulk_payload;
  return ReadStatus::command;
}

ReadStatus CommandReader::read_inline(std::string_view unread, CommandScratch& scratch, std::string& error) {
  const HeaderStatus status = find_end(unread, '\n');
  if (status == HeaderStatus::incomplete) return ReadStatus::need_more;
  if (status == HeaderStatus::too_big) {
    error = "Protocol error: too big inline request";
    return ReadStatus::error;
  }
  std::string_view line = unread.substr(0, scan_);
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++scan_;
  canonical_ = false;
  scratch.args.clear();
  scratch.inline_text.clear();
  if (!InlineSplitter(line, scratch).split()) {
    error = "Protocol error: unbalanced quotes in request";
    return ReadStatus::error;
  }
  return scratch.args.empty() ? ReadStatus::nothing : ReadStatus::command;
}

// Reads `<mark><number>` CR and one byte more, which redis takes for the line feed unseen. An accepted number
// is a plain decimal already (parse_decimal), so only that byte can make the header differ from its canonical
// form.
CommandReader::Header CommandReader::read_header(std::string_view unread, char mark) {
  if (scan_ == token_start_ && scan_ < unread.size() && unread[scan_] == mark) {
    std::uint32_t number = 0;
    const char* const next =
        read_plain_line(unread.data() + scan_ + 1, unread.data() + unread.size(), number);
    if (next != nullptr) {
      scan_ = static_cast<std::size_t>(next - unread.data());
      return {HeaderStatus::found, number};
    }
  }
  const HeaderStatus status = find_end(unread, '\r');
  if (status != HeaderStatus::found) return {status, std::nullopt};
  if (unread.size() < scan_ + 2) {
    bytes_needed_ = scan_ + 2;
    return {HeaderStatus::incomplete, std::nullopt};
  }
  if (unread[token_start_] != mark) return {HeaderStatus::wrong_mark, std::nullopt};
  const auto number = parse_decimal(unread.substr(token_start_ + 1, scan_ - token_start_ - 1));
  if (unread[scan_ + 1] != '\n') canonical_ = false;
  scan_ += 2;
  return {HeaderStatus::found, number};
}

// Moves scan_ to the terminator. Redis gives up once it holds more than header_bytes_max bytes without one;
// when it looks depends on how the packets fell. Here the terminator must be among the first header_bytes_max
// + 1 bytes: what redis does when bytes come one by one, and the same for every split.
CommandReader::HeaderStatus CommandReader::find_end(std::string_view unread, char terminator) {
  const std::size_t stop = std::min<std::size_t>(unread.size(), token_start_ + limits_->header_bytes_max + 1);
  while (scan_ < stop && !nul_seen_) {
    const char c = unread[scan_];
    if (c == terminator) return HeaderStatus::found;
    nul_seen_ = c == '\0';
    ++scan_;
  }
  if (unread.size() - token_start_ > limits_->header_bytes_max) return HeaderStatus::too_big;
  bytes_needed_ = unread.size() + 1;
  return HeaderStatus::incomplete;
}

void CommandReader::end_frame() {
  bytes_needed_ = 1;
  scan_ = token_start_ = 0;
  bulk_bytes_ = 0;
  args_left_ = 0;
  state_ = State::start;
  canonical_ = true;
  nul_seen_ = false;
  // Releases the memory, too: clear() would keep it for as long as the client stays.
  if (saved_args_.capacity() != 0) std::vector<Slice>().swap(saved_args_);
}

}  // namespace fairlead::resp
