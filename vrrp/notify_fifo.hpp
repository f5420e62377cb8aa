// Reads keepalived's notify FIFO. Owned by the Pair; lives on the control thread. It survives every order of
// starting and ending: it makes the FIFO when keepalived has not, opens it anew when keepalived closed it,
// and follows the path when somebody replaced the file. It never writes into it and never blocks.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "vrrp/notify_line.hpp"

namespace fairlead::vrrp {

class NotifyFifo {
 public:
  struct Hooks {
    std::function<void(const NotifyLine&)> line;
    std::function<void()> writer_gone;                  // keepalived closed it; once per end
    std::function<void(const std::string&)> problem;    // a sentence; once until it changes
    std::function<void(const std::string&)> garbage{};  // a line that could not be read
  };

  NotifyFifo(boost::asio::io_context& context, std::string path, Hooks hooks);

  void start();
  void stop();
  [[nodiscard]] std::uint64_t lines() const { return lines_; }
  [[nodiscard]] std::uint64_t garbage() const { return garbage_ + cutter_.overlong(); }

 private:
  void look_after();
  void open();
  [[nodiscard]] bool replaced();
  void wait();
  void read_all();
  void on_line(const std::string& line);
  void tell_problem(std::string problem);

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  std::string path_;
  Hooks hooks_;
  LineCutter cutter_;
  std::string problem_;
  std::uint64_t lines_ = 0;
  std::uint64_t garbage_ = 0;
  bool stopped_ = false;
};

}  // namespace fairlead::vrrp
