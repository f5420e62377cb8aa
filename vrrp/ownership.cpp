#include "vrrp/ownership.hpp"

#include <algorithm>
#include <utility>

namespace fairlead::vrrp {

void Ownership::on_state(State state, std::uint32_t priority, TimePoint now) {
  priority_ = priority;
  if (state != state_) {
    changes_.push_back({ChangeKind::state,
                        std::string("keepalived says ") + to_string(state) + ", was " + to_string(state_)});
    state_ = state;
  }
  if (holds_ && presence_ == Presence::absent && state_ != State::master) {
    lose(std::string("keepalived took the address away and says ") + to_string(state_));
  }
  expect_agreement(now);
}

void Ownership::on_keepalived_gone(TimePoint now) {
  changes_.push_back(
      {ChangeKind::gone, presence_ == Presence::present
                             ? "keepalived has gone and left the address here; the peer will take it "
                               "too, until keepalived is started again"
                             : "keepalived has gone; this node cannot take the address until it is "
                               "started again"});
  state_ = State::unknown;
  priority_ = 0;
  if (holds_ && presence_ == Presence::absent) lose("keepalived has gone and took the address along");
  expect_agreement(now);
}

void Ownership::on_address(Presence presence, TimePoint now) {
  presence_ = presence;
  if (presence == Presence::present) {
    loss_at_.reset();
    if (!holds_) {
      holds_ = true;
      changes_.push_back(
          {ChangeKind::gained, "the address is here: this node is the one that clients reach"});
    }
  } else if (holds_ && state_ == State::master) {
    if (!loss_at_) loss_at_ = now + loss_delay;
  } else if (holds_) {
    lose("the address is gone");
  }
  expect_agreement(now);
}

void Ownership::on_time(TimePoint now) {
  if (loss_at_ && now >= *loss_at_) {
    lose("the address is gone although keepalived says master; was it removed by hand?");
  }
  if (contradiction_at_ && now >= *contradiction_at_) {
    contradiction_at_.reset();
    changes_.push_back(
        {ChangeKind::contradiction,
         state_ == State::master
             ? std::string("keepalived says master, but the address is not on this host; is it the one in "
                           "virtual_ipaddress?")
             : std::string("keepalived says ") + to_string(state_) +
                   ", but the address is still on this host"});
  }
}

std::optional<TimePoint> Ownership::next_deadline() const {
  if (!loss_at_) return contradiction_at_;
  return contradiction_at_ ? std::min(*loss_at_, *contradiction_at_) : *loss_at_;
}

std::vector<Change> Ownership::take_changes() {
  return std::exchange(changes_, {});
}

void Ownership::lose(std::string why) {
  holds_ = false;
  loss_at_.reset();
  changes_.push_back({ChangeKind::lost, std::move(why)});
}

bool Ownership::contradicts() const {
  if (state_ == State::unknown) return false;  // nothing was said that could be wrong
  return (state_ == State::master) != (presence_ == Presence::present);
}

/// Begins to wait when they disagree; a contradiction is told once.
void Ownership::expect_agreement(TimePoint now) {
  if (!contradicts()) {
    contradiction_at_.reset();
  } else if (!contradiction_at_) {
    contradiction_at_ = now + contradiction_delay;
  }
}

}  // namespace fairlead::vrrp
