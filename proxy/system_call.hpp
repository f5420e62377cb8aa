// The three system calls of a worker's turn, without the cancellation points that glibc makes of them: in a
// program with threads recv(), sendmsg() and epoll_wait() change the thread's cancellation type before and
// after, two atomic operations each. Nobody cancels a thread here. Results and errno are those of the
// functions of the same name.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

namespace fairlead::proxy {

inline ssize_t receive_now(int descriptor, void* data, std::size_t size) {
  return ::syscall(SYS_recvfrom, descriptor, data, size, MSG_DONTWAIT, nullptr, nullptr);
}

inline ssize_t send_now(int descriptor, const msghdr& message) {
  return ::syscall(SYS_sendmsg, descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// What is ready, without waiting.
inline int take_ready(int set, epoll_event* events, int size) {
  return static_cast<int>(::syscall(SYS_epoll_pwait, set, events, size, 0, nullptr, std::size_t{0}));
}

}  // namespace fairlead::proxy
