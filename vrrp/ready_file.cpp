#include "vrrp/ready_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace fairlead::vrrp {

namespace {
/// Anybody may look: keepalived does, and so do people.
constexpr mode_t file_mode = 0644;
}  // namespace

int write_ready_file(const char* path, char value) noexcept {
  const int descriptor = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, file_mode);
  if (descriptor < 0) return errno;
  const std::array<char, 2> text{value, '\n'};
  int error = 0;
  // First the new value, then the rest of an old and longer one: the file is never empty in between.
  if (::pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(descriptor, static_cast<off_t>(text.size())) != 0) {
    error = errno != 0 ? errno : EIO;
  }
  if (::close(descriptor) != 0 && error == 0) error = errno;
  return error;
}

int lock_ready_file(const char* path) noexcept {
  const int descriptor = ::open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, file_mode);
  if (descriptor < 0) return -errno;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  const int error = errno;
  ::close(descriptor);
  return -error;
}

std::string read_ready_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return {};
  std::array<char, 32> buffer;
  const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
  ::close(descriptor);
  std::string text(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.pop_back();
  return text;
}

}  // namespace fairlead::vrrp
