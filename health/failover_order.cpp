#include "health/failover_order.hpp"

#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "health/control_link.hpp"
#include "health/deadline_timer.hpp"
#include "health/link_fsm.hpp"

namespace fairlead::health {

namespace asio = boost::asio;

class FailoverOrder::Impl : public std::enable_shared_from_this<FailoverOrder::Impl> {
 public:
  Impl(asio::io_context& context, const Options& options, std::vector<resp::Address> sentinels, Done done)
      : context_(context),
        master_name_(options.master_name),
        login_(options.sentinel_login),
        sentinels_(std::move(sentinels)),
        done_(std::move(done)),
        timer_(context) {}

  void ask_next();
  void abandon();

 private:
  void after(LinkFsm::Change change);
  void on_reply(const resp::Value& reply);
  void follow_deadline();
  void finish(std::string error);

  asio::io_context& context_;
  const std::string master_name_;
  const Login login_;
  const std::vector<resp::Address> sentinels_;
  Done done_;
  DeadlineTimer timer_;
  std::size_t asked_ = 0;  // sentinels_ that were tried; the last of them is the present one
  std::optional<LinkFsm> fsm_;
  std::unique_ptr<ControlLink> link_;
  std::string failures_;  // of those that could not be asked
  bool said_ = false;     // the order was sent: somebody may have heard it
};

void FailoverOrder::Impl::ask_next() {
  if (asked_ == sentinels_.size()) {
    finish("no Sentinel can be asked: " + (failures_.empty() ? std::string("none is known") : failures_));
    return;
  }
  const resp::Address& address = sentinels_[asked_++];
  ControlLink::Callbacks callbacks;
  callbacks.connected = [this] {
    LinkActions actions;
    const auto change = fsm_->on_connected(clock_now(), actions);
    perform(actions, *link_);
    after(change);
  };
  callbacks.failed = [this](LinkFailure failure, std::string text) {
    after(fsm_->on_failed(failure, std::move(text), clock_now()));
  };
  callbacks.reply = [this](const resp::Value& reply) { on_reply(reply); };
  link_ = std::make_unique<ControlLink>(context_, address, std::move(callbacks));
  fsm_.emplace(login_, LinkFsm::Timing{});
  LinkActions actions;
  fsm_->start(clock_now(), actions);
  perform(actions, *link_);
  follow_deadline();
}

void FailoverOrder::Impl::after(LinkFsm::Change change) {
  if (!done_) return;
  if (change == LinkFsm::Change::ready) {
    LinkActions actions;
    fsm_->send(0, {"SENTINEL", "FAILOVER", master_name_}, clock_now(), actions);
    said_ = true;
    perform(actions, *link_);
  } else if (change == LinkFsm::Change::failed) {
    const std::string who = resp::to_string(sentinels_[asked_ - 1]);
    if (said_) {
      finish("the answer of " + who + " was lost (" + fsm_->error() +
             "): the failover may have begun; look at the timeline before you ask again");
      return;
    }
    failures_ += (failures_.empty() ? "" : "; ") + who + ": " + fsm_->error();
    ask_next();
    return;
  }
  follow_deadline();
}

void FailoverOrder::Impl::on_reply(const resp::Value& reply) {
  if (fsm_->state() == LinkFsm::State::logging_in) {
    LinkActions actions;
    const auto change = fsm_->on_login_reply(reply, clock_now(), actions);
    perform(actions, *link_);
    after(change);
    return;
  }
  if (!fsm_->take_tag()) return;
  finish(reply.is_error() ? reply.text : std::string());
}

void FailoverOrder::Impl::follow_deadline() {
  timer_.follow(fsm_->deadline(), [this] {
    LinkActions actions;
    const auto change = fsm_->on_timer(clock_now(), actions);
    perform(actions, *link_);
    after(change);
  });
}

void FailoverOrder::Impl::finish(std::string error) {
  if (!done_) return;
  Answer answer;
  if (said_) answer.sentinel = sentinels_[asked_ - 1];
  answer.error = std::move(error);
  timer_.follow(std::nullopt, [] {});
  if (link_) link_->close();
  asio::post(context_, [self = shared_from_this(), answer = std::move(answer)]() mutable {
    const Done done = std::exchange(self->done_, nullptr);
    if (done) done(std::move(answer));
  });
}

void FailoverOrder::Impl::abandon() {
  done_ = nullptr;
  timer_.follow(std::nullopt, [] {});
  if (link_) link_->close();
}

FailoverOrder::FailoverOrder(asio::io_context& context, const Options& options,
                             std::vector<resp::Address> sentinels, Done done)
    : impl_(std::make_shared<Impl>(context, options, std::move(sentinels), std::move(done))) {
  impl_->ask_next();
}

FailoverOrder::~FailoverOrder() {
  impl_->abandon();
}

}  // namespace fairlead::health
