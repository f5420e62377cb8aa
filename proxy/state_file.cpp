#include "proxy/state_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <sstream>

#include "proxy/log.hpp"

namespace fairlead::proxy {

namespace {

constexpr const char* head = "fairlead-route 1";

std::string failure(const std::string& path, const char* what) {
  return fmt::format("{}: cannot be {}: {}; check [failover] state-dir", path, what, std::strerror(errno));
}

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct Descriptor {
  explicit Descriptor(int number) : value(number) {}
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value;
};

bool write_all(int descriptor, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t size = ::write(descriptor, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    done += static_cast<std::size_t>(size);
  }
  return true;
}

// Missing is no error: nothing was remembered yet.
std::optional<std::string> read_file(const std::string& path, std::string& error) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.value < 0) {
    if (errno != ENOENT) error = failure(path, "read");
    return std::nullopt;
  }
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(file.value, buffer.data(), buffer.size());
  if (size < 0) {
    error = failure(path, "read");
    return std::nullopt;
  }
  return std::string(buffer.data(), static_cast<std::size_t>(size));
}

}  // namespace

std::string format_state(const health::Remembered& state, const std::string& master_name) {
  return fmt::format("{}\nmaster-name {}\naddress {}\nrun-id {}\nterm {}\nepoch {}\npromised {}\nend\n", head,
                     master_name, resp::to_string(state.address), state.run_id, state.term, state.epoch,
                     state.promised);
}

std::optional<health::Remembered> parse_state(const std::string& text, const std::string& master_name) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != head) return std::nullopt;
  std::map<std::string, std::string> fields;
  bool whole = false;
  while (!whole && std::getline(lines, line)) {
    const auto space = line.find(' ');
    whole = line == "end";
    fields[line.substr(0, space)] = space == std::string::npos ? "" : line.substr(space + 1);
  }
  const auto address = resp::parse_address(fields["address"]);
  const auto term = number_in(fields["term"]);
  const auto epoch = number_in(fields["epoch"]);
  // Files of before this field was: nothing promised.
  const auto promised =
      fields.contains("promised") ? number_in(fields["promised"]) : std::optional<std::uint64_t>(0);
  if (!whole || !address || !term || !epoch || !promised || fields["run-id"].empty()) return std::nullopt;
  if (fields["master-name"] != master_name) return std::nullopt;
  return health::Remembered{*address, fields["run-id"], *term, *epoch, *promised};
}

StateFile::StateFile(const std::string& directory, std::string master_name)
    : directory_(directory), path_(directory + "/route"), master_name_(std::move(master_name)) {}

StateFile::~StateFile() {
  close();
}

std::string StateFile::open() {
  if (::mkdir(directory_.c_str(), 0750) != 0 && errno != EEXIST) return failure(directory_, "made");
  if (::access(directory_.c_str(), R_OK | W_OK | X_OK) != 0) return failure(directory_, "written to");
  std::string error;
  const auto text = read_file(path_, error);
  if (!error.empty()) return error;
  if (text) {
    last_ = parse_state(*text, master_name_);
    if (!last_) {
      log(LogLevel::error,
          "the remembered route cannot be understood or is another master's; going on without it",
          {{"file", path_}, {"master_name", master_name_}});
    }
  }
  writer_ = std::thread([this] { run(); });
  return {};
}

void StateFile::keep(const health::Remembered& state) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    next_ = state;
  }
  changed_.notify_one();
}

void StateFile::close() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void StateFile::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closing_ || next_.has_value(); });
    if (!next_) return;
    const health::Remembered state = *std::exchange(next_, std::nullopt);
    lock.unlock();
    const std::string error = write(format_state(state, master_name_));
    if (!error.empty()) log(LogLevel::error, error, {{"term", std::to_string(state.term)}});
    lock.lock();
  }
}

std::string StateFile::write(const std::string& text) const {
  const std::string fresh = path_ + ".new";
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (file.value < 0) return failure(fresh, "written");
    if (!write_all(file.value, text) || ::fsync(file.value) != 0) return failure(fresh, "written");
  }
  if (::rename(fresh.c_str(), path_.c_str()) != 0) return failure(path_, "replaced");
  const Descriptor directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.value < 0 || ::fsync(directory.value) != 0) return failure(directory_, "synchronised");
  return {};
}

}  // namespace fairlead::proxy
