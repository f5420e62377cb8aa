#include "vrrp/notify_fifo.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace fairlead::vrrp {

using boost::system::error_code;

namespace {
/// How often the path is compared with what is open.
constexpr std::chrono::milliseconds look_interval{500};
}  // namespace

NotifyFifo::NotifyFifo(boost::asio::io_context& context, std::string path, Hooks hooks)
    : descriptor_(context), timer_(context), path_(std::move(path)), hooks_(std::move(hooks)) {}

void NotifyFifo::start() {
  look_after();
}

void NotifyFifo::stop() {
  stopped_ = true;
  timer_.cancel();
  error_code ignored;
  descriptor_.close(ignored);
}

void NotifyFifo::look_after() {
  if (!descriptor_.is_open() || replaced()) open();
  timer_.expires_after(look_interval);
  timer_.async_wait([this](const error_code& error) {
    if (!error && !stopped_) look_after();
  });
}

bool NotifyFifo::replaced() {
  struct stat at_path {};
  struct stat opened {};
  if (::stat(path_.c_str(), &at_path) != 0) return true;
  if (::fstat(descriptor_.native_handle(), &opened) != 0) return true;
  return at_path.st_ino != opened.st_ino || at_path.st_dev != opened.st_dev;
}

void NotifyFifo::open() {
  // keepalived runs as root and can open it anyway; nobody else needs to.
  if (::mkfifo(path_.c_str(), 0600) != 0 && errno != EEXIST) {
    tell_problem("cannot make the notify FIFO " + path_ + ": " + std::strerror(errno));
    return;
  }
  const int opened = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  struct stat what {};
  if (opened < 0 || ::fstat(opened, &what) != 0) {
    tell_problem("cannot open the notify FIFO " + path_ + ": " + std::strerror(errno));
    if (opened >= 0) ::close(opened);
    return;
  }
  if (!S_ISFIFO(what.st_mode)) {
    tell_problem(path_ + " is not a FIFO; remove it, or correct 'notify-fifo' in [vrrp]");
    ::close(opened);
    return;
  }
  problem_.clear();
  error_code ignored;
  descriptor_.close(ignored);
  descriptor_.assign(opened, ignored);
  cutter_.reset();
  wait();
}

void NotifyFifo::wait() {
  descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
    if (!error && !stopped_) read_all();
  });
}

void NotifyFifo::read_all() {
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t size = ::read(descriptor_.native_handle(), buffer.data(), buffer.size());
    if (size > 0) {
      for (const std::string& line : cutter_.feed({buffer.data(), static_cast<std::size_t>(size)}))
        on_line(line);
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else if (size < 0 && errno == EAGAIN) {
      wait();
      return;
    } else {
      break;
    }
  }
  // End of file: the last writer closed it. This descriptor would stay readable for ever, a fresh one waits
  // for the next writer.
  open();
  hooks_.writer_gone();
}

void NotifyFifo::on_line(const std::string& line) {
  if (const auto read = parse_notify_line(line)) {
    ++lines_;
    hooks_.line(*read);
    return;
  }
  ++garbage_;
  if (hooks_.garbage) hooks_.garbage(line);
}

void NotifyFifo::tell_problem(std::string problem) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  hooks_.problem(problem_);
}

}  // namespace fairlead::vrrp
