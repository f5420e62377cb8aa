#include "health/link_fsm.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace fairlead::health {

namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// A password for a server that has none is harmless, and the normal state while passwords are being rolled
// out: the connection works.
bool says_no_password_needed(const resp::Value& reply) {
  return reply.is_error() && (reply.text.find("without any password configured") != std::string::npos ||
                              reply.text.find("no password is set") != std::string::npos);
}

}  // namespace

bool is_login_error(const resp::Value& reply) {
  return reply.is_error() && (starts_with(reply.text, "NOAUTH") || starts_with(reply.text, "WRONGPASS") ||
                              reply.text.find("invalid password") != std::string::npos ||
                              reply.text.find("operation not permitted") != std::string::npos);
}

std::string info_field(const std::string& info, std::string_view field) {
  std::size_t line = 0;
  while (line < info.size()) {
    std::size_t end = info.find('\n', line);
    if (end == std::string::npos) end = info.size();
    std::string_view text(info.data() + line, end - line);
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (starts_with(text, field) && text.size() > field.size() && text[field.size()] == ':') {
      return std::string(text.substr(field.size() + 1));
    }
    line = end + 1;
  }
  return {};
}

LinkFsm::LinkFsm(Login login, Timing timing) : login_(std::move(login)), timing_(timing) {}

void LinkFsm::start(TimePoint now, LinkActions& out) {
  assert(state_ == State::idle);
  connect(now, out);
}

void LinkFsm::stop(LinkActions& out) {
  if (state_ != State::idle) out.push_back({LinkAction::Kind::close, {}});
  state_ = State::idle;
  sent_.clear();
}

void LinkFsm::connect(TimePoint now, LinkActions& out) {
  state_ = State::connecting;
  attempted_at_ = now;
  deadline_ = now + (pace_ != Pace::normal ? timing_.connect_timeout_fast : timing_.connect_timeout);
  out.push_back({LinkAction::Kind::connect, {}});
}

LinkFsm::Change LinkFsm::on_connected(TimePoint now, LinkActions& out) {
  if (state_ != State::connecting) return Change::none;
  if (login_.password.empty()) {
    state_ = State::ready;
    return Change::ready;
  }
  state_ = State::logging_in;
  deadline_ = now + timing_.reply_timeout;
  std::vector<std::string> command{"AUTH"};
  if (!login_.username.empty()) command.push_back(login_.username);
  command.push_back(login_.password);
  out.push_back({LinkAction::Kind::send, std::move(command)});
  return Change::none;
}

LinkFsm::Change LinkFsm::on_failed(LinkFailure failure, std::string text, TimePoint now) {
  if (state_ == State::idle || state_ == State::waiting) return Change::none;
  enter_waiting(failure, std::move(text), now);
  return Change::failed;
}

LinkFsm::Change LinkFsm::on_login_reply(const resp::Value& reply, TimePoint now, LinkActions& out) {
  assert(state_ == State::logging_in);
  if (!reply.is_error() || says_no_password_needed(reply)) {
    state_ = State::ready;
    return Change::ready;
  }
  // Anything but a verdict on the password (too many clients, protected mode) is a failure of the connection.
  fail(is_login_error(reply) ? LinkFailure::login_refused : LinkFailure::lost, reply.text, now, out);
  return Change::failed;
}

LinkFsm::Change LinkFsm::on_timer(TimePoint now, LinkActions& out) {
  const auto due = deadline();
  if (!due || now < *due) return Change::none;
  switch (state_) {
    case State::idle:
      return Change::none;
    case State::waiting:
      connect(now, out);
      return Change::none;
    case State::connecting:
      fail(LinkFailure::timed_out, "no connection within the connect timeout", now, out);
      return Change::failed;
    case State::logging_in:
    case State::ready:
      fail(LinkFailure::timed_out, "no answer within the probe timeout", now, out);
      return Change::failed;
  }
  return Change::none;
}

void LinkFsm::send(int tag, std::vector<std::string> command, TimePoint now, LinkActions& out) {
  assert(state_ == State::ready);
  sent_.push_back({tag, now + timing_.reply_timeout});
  out.push_back({LinkAction::Kind::send, std::move(command)});
}

std::optional<int> LinkFsm::take_tag() {
  if (sent_.empty()) return std::nullopt;
  const int tag = sent_.front().tag;
  sent_.pop_front();
  return tag;
}

void LinkFsm::fail(LinkFailure failure, std::string text, TimePoint now, LinkActions& out) {
  if (state_ == State::idle || state_ == State::waiting) return;
  out.push_back({LinkAction::Kind::close, {}});
  enter_waiting(failure, std::move(text), now);
}

void LinkFsm::enter_waiting(LinkFailure failure, std::string text, TimePoint now) {
  state_ = State::waiting;
  failure_ = failure;
  error_ = std::move(text);
  sent_.clear();
  std::chrono::milliseconds delay{0};
  if (failure == LinkFailure::login_refused) {
    // A wrong password does not become right within milliseconds, and servers log and count each refusal.
    delay = timing_.retry_max;
  } else if (failures_ > 0) {
    delay = timing_.retry_fast;
    if (pace_ == Pace::normal) delay = std::min(timing_.retry_max, delay * (1 << std::min(failures_, 10)));
  }
  ++failures_;
  deadline_ = now + delay;
}

void LinkFsm::set_pace(Pace pace, TimePoint now) {
  pace_ = pace;
  if (pace == Pace::normal) return;
  if (state_ == State::connecting) deadline_ = std::min(deadline_, now + timing_.connect_timeout_fast);
  if (state_ == State::waiting) hurry(now);
}

void LinkFsm::hurry(TimePoint now) {
  if (state_ != State::waiting || failure_ == LinkFailure::login_refused) return;
  deadline_ = std::min(deadline_, std::max(now, attempted_at_ + timing_.retry_fast));
}

std::optional<TimePoint> LinkFsm::deadline() const {
  switch (state_) {
    case State::idle:
      return std::nullopt;
    case State::connecting:
    case State::logging_in:
    case State::waiting:
      return deadline_;
    case State::ready:
      break;
  }
  if (sent_.empty()) return std::nullopt;
  return sent_.front().deadline;
}

}  // namespace fairlead::health
