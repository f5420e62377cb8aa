// The file that keepalived tracks (track_file): "0" is fit, "1" is FAULT. Functions only, and only ones that
// may be called between fork and exec, since the guard process is made by a fork of a process with threads.
//
// It is written in place and closed: keepalived waits for the close (inotify). It is never removed and never
// replaced, so that its inode can be locked.
#pragma once

#include <string>

namespace fairlead::vrrp {

/// 0, or an errno.
[[nodiscard]] int write_ready_file(const char* path, char value) noexcept;

/// Opens the file, creating it, and takes its lock, which goes with the descriptor and with the process. Not
/// negative: the descriptor. Negative: -errno, -EWOULDBLOCK while another process has the lock.
[[nodiscard]] int lock_ready_file(const char* path) noexcept;

/// What is in it, without white space at its end; empty when it cannot be read. For status displays.
[[nodiscard]] std::string read_ready_file(const std::string& path);

}  // namespace fairlead::vrrp
