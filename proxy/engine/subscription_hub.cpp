#include "proxy/engine/subscription_hub.hpp"

#include "proxy/engine/check.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

namespace {

std::size_t at(ChannelKind kind) {
  return static_cast<std::size_t>(kind);
}

constexpr std::string_view words[2][3] = {{"subscribe", "psubscribe", "ssubscribe"},
                                          {"unsubscribe", "punsubscribe", "sunsubscribe"}};

constexpr std::string_view commands[2][3] = {{"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"},
                                             {"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}};

std::string_view word(HubOrder order, ChannelKind kind) {
  return words[static_cast<std::size_t>(order)][at(kind)];
}

}  // namespace

void append_confirmation(std::string& out, HubOrder order, ChannelKind kind, const std::string_view* name,
                         std::uint32_t count, resp::Version version) {
  resp::append_push_header(out, 3, version);
  resp::append_bulk(out, word(order, kind));
  if (name != nullptr) {
    resp::append_bulk(out, *name);
  } else {
    resp::append_null(out, version);
  }
  resp::append_integer(out, count);
}

SubscriptionHub::~SubscriptionHub() {
  FAIRLEAD_CHECK(alive_ == 0 && subscriptions_.empty());
}

// --- Sessions

Subscriber* SubscriptionHub::add(Session* session) {
  ++alive_;
  return new Subscriber(session);
}

void SubscriptionHub::remove(Subscriber* subscriber) {
  while (!subscriber->pending.empty()) abandon(subscriber->pending.front());
  for (auto& names : subscriber->names) {
    while (!names.empty()) {
      HubChannel* channel = names.front().channel;
      drop(&names.front());
      release(*channel);
    }
  }
  --alive_;
  delete subscriber;
}

void SubscriptionHub::subscribe(Subscriber& subscriber, ChannelKind kind, const resp::CommandView& command,
                                Request* request) {
  PendingSubscribe& pending = subscriber.pending.emplace_back(subscriber, request, command.size() - 1);
  for (std::uint32_t i = 1; i < command.size(); ++i) {
    HubChannel& channel = channel_of(kind, command[i]);
    Claim& claim = pending.claims[i - 1];
    claim.command = &pending;
    claim.channel = &channel;
    channel.claims.push_back(claim);
    want(channel);
    if (channel.upstream != UpstreamState::confirmed) ++pending.unconfirmed;
  }
  if (!subscriber.waiting_hook.is_linked()) waiting_.push_back(subscriber);
  note_ready(subscriber);
}

void SubscriptionHub::finish(Subscriber& subscriber, resp::Version version, std::string& reply) {
  subscriber.ready_hook.unlink();
  PendingSubscribe& command = subscriber.pending.front();
  FAIRLEAD_CHECK(command.ready());
  if (!command.refusal.empty()) {
    resp::append_error(reply, command.refusal);
    abandon(command);
    return;
  }
  for (Claim& claim : command.claims) {
    HubChannel& channel = *claim.channel;
    claim.in_channel.unlink();
    if (subscription_of(subscriber, &channel) == nullptr) activate(subscriber, channel);
    const std::string_view name = channel.name;
    append_confirmation(reply, HubOrder::subscribe, channel.kind, &name, subscriber.count(channel.kind),
                        version);
  }
  command.claims.clear();
  abandon(command);
}

PendingSubscribe* SubscriptionHub::first_pending() {
  return waiting_.empty() ? nullptr : &waiting_.front().pending.front();
}

void SubscriptionHub::abandon(PendingSubscribe& command) {
  Subscriber& subscriber = *command.subscriber;
  FAIRLEAD_CHECK(&subscriber.pending.front() == &command);
  for (Claim& claim : command.claims) {
    if (claim.channel == nullptr) continue;
    claim.in_channel.unlink();
    release(*claim.channel);
  }
  subscriber.pending.pop_front();
  subscriber.ready_hook.unlink();
  if (subscriber.pending.empty()) subscriber.waiting_hook.unlink();
  note_ready(subscriber);
}

void SubscriptionHub::unsubscribe(Subscriber* subscriber, ChannelKind kind, const resp::CommandView& command,
                                  resp::Version version, std::string& reply) {
  const auto count = [&] { return subscriber == nullptr ? 0U : subscriber->count(kind); };
  if (command.size() == 1 && (subscriber == nullptr || subscriber->names[at(kind)].empty())) {
    append_confirmation(reply, HubOrder::unsubscribe, kind, nullptr, count(), version);
    return;
  }
  const auto leave = [&](Subscription* subscription, std::string_view name) {
    HubChannel* channel = subscription == nullptr ? nullptr : subscription->channel;
    if (subscription != nullptr) drop(subscription);
    append_confirmation(reply, HubOrder::unsubscribe, kind, &name, count(), version);
    if (channel != nullptr) release(*channel);
  };
  if (command.size() == 1) {
    auto& names = subscriber->names[at(kind)];
    while (!names.empty()) leave(&names.front(), names.front().channel->name);
    return;
  }
  for (std::uint32_t i = 1; i < command.size(); ++i) {
    leave(subscriber == nullptr ? nullptr : subscription_of(*subscriber, find(kind, command[i])), command[i]);
  }
}

// --- Upstream

void SubscriptionHub::on_up() {
  up_ = true;
  for (Channels& channels : channels_) {
    for (auto& [name, channel] : channels) want(*channel);
  }
}

void SubscriptionHub::on_down() {
  up_ = false;
  owed_.clear();
  orders_.clear();
  for (Channels& channels : channels_) {
    boost::unordered::erase_if(channels, [this](auto& entry) {
      HubChannel& channel = *entry.second;
      channel.owed = 0;
      set_upstream(channel, UpstreamState::idle);
      return !channel.wanted();
    });
  }
}

bool SubscriptionHub::on_confirmed(HubOrder order, ChannelKind kind, std::string_view name) {
  if (owed_.empty()) return false;
  HubChannel& channel = *owed_.front().channel;
  if (owed_.front().order != order || channel.kind != kind || channel.name != name) return false;
  owed_.pop_front();
  if (--channel.owed > 0) return true;  // a later command has the last word
  if (order == HubOrder::unsubscribe) {
    set_upstream(channel, UpstreamState::idle);
    release(channel);
    return true;
  }
  set_upstream(channel, UpstreamState::confirmed);
  for (Claim& claim : channel.claims) {
    --claim.command->unconfirmed;
    note_ready(*claim.command->subscriber);
  }
  return true;
}

bool SubscriptionHub::on_error(std::string_view text, std::vector<Session*>& losers) {
  if (owed_.empty()) return false;
  HubChannel& channel = *owed_.front().channel;
  owed_.pop_front();
  if (--channel.owed > 0) return true;
  set_upstream(channel, UpstreamState::idle);
  while (!channel.claims.empty()) {
    Claim& claim = channel.claims.front();
    claim.in_channel.unlink();
    claim.channel = nullptr;
    claim.command->refusal = text;
    note_ready(*claim.command->subscriber);
  }
  for (const Subscription& subscription : channel.subscribers) {
    losers.push_back(subscription.subscriber->session);
  }
  release(channel);
  return true;
}

void SubscriptionHub::refuse_pending(std::string_view text) {
  for (Subscriber& subscriber : waiting_) {
    for (PendingSubscribe& command : subscriber.pending) command.refusal = text;
    note_ready(subscriber);
  }
}

Session* SubscriptionHub::any_session() const {
  return subscriptions_.empty() ? nullptr : (*subscriptions_.begin())->subscriber->session;
}

HubChannel* SubscriptionHub::on_moved(std::string_view name) {
  HubChannel* channel = find(ChannelKind::shard, name);
  if (channel == nullptr || channel->upstream != UpstreamState::confirmed) return nullptr;
  set_upstream(*channel, UpstreamState::idle);
  return channel;
}

Subscriber* SubscriptionHub::take_subscriber(HubChannel& channel) {
  if (channel.subscribers.empty()) return nullptr;
  Subscriber* subscriber = channel.subscribers.front().subscriber;
  drop(&channel.subscribers.front());
  return subscriber;
}

void SubscriptionHub::settle(HubChannel& channel) {
  // A SUBSCRIBE that was about to be answered hears what the server says of the name now.
  for (Claim& claim : channel.claims) {
    ++claim.command->unconfirmed;
    claim.command->subscriber->ready_hook.unlink();
    note_ready(*claim.command->subscriber);
  }
  if (channel.wanted()) {
    want(channel);
  } else {
    release(channel);
  }
}

HubChannel* SubscriptionHub::find(ChannelKind kind, std::string_view name) const {
  const Channels& channels = channels_[at(kind)];
  const auto found = channels.find(name);
  return found == channels.end() ? nullptr : found->second.get();
}

bool SubscriptionHub::wants_upstream() const {
  return !(channels_[0].empty() && channels_[1].empty() && channels_[2].empty());
}

// --- Inside

HubChannel& SubscriptionHub::channel_of(ChannelKind kind, std::string_view name) {
  if (HubChannel* channel = find(kind, name)) return *channel;
  auto channel = std::make_unique<HubChannel>(kind, name);
  HubChannel& made = *channel;
  channels_[at(kind)].emplace(std::string_view(made.name), std::move(channel));
  return made;
}

Subscription* SubscriptionHub::subscription_of(const Subscriber& subscriber,
                                               const HubChannel* channel) const {
  if (channel == nullptr) return nullptr;
  const auto found = subscriptions_.find(Key{&subscriber, channel});
  return found == subscriptions_.end() ? nullptr : *found;
}

void SubscriptionHub::activate(Subscriber& subscriber, HubChannel& channel) {
  if (!subscriber.subscribed()) ++subscribers_;
  ++subscriber.counts[at(channel.kind)];
  auto* subscription = new Subscription{&subscriber, &channel, {}, {}};
  channel.subscribers.push_back(*subscription);
  subscriber.names[at(channel.kind)].push_back(*subscription);
  subscriptions_.insert(subscription);
}

void SubscriptionHub::drop(Subscription* subscription) {
  Subscriber& subscriber = *subscription->subscriber;
  --subscriber.counts[at(subscription->channel->kind)];
  if (!subscriber.subscribed()) --subscribers_;
  subscriptions_.erase(subscription);
  delete subscription;  // its hooks leave both lists
}

void SubscriptionHub::note_ready(Subscriber& subscriber) {
  if (subscriber.pending.empty() || !subscriber.pending.front().ready()) return;
  if (!subscriber.ready_hook.is_linked()) ready_.push_back(subscriber);
}

void SubscriptionHub::want(HubChannel& channel) {
  if (!up_ || !channel.wanted()) return;
  if (channel.upstream == UpstreamState::idle || channel.upstream == UpstreamState::leaving) {
    order(channel, HubOrder::subscribe);
  }
}

/// Somebody left: the last one takes the upstream subscription along.
void SubscriptionHub::release(HubChannel& channel) {
  if (channel.wanted()) return;
  if (channel.upstream == UpstreamState::asking || channel.upstream == UpstreamState::confirmed) {
    order(channel, HubOrder::unsubscribe);
  } else if (channel.owed == 0) {
    Channels& channels = channels_[at(channel.kind)];
    channels.erase(channels.find(std::string_view(channel.name)));
  }
}

void SubscriptionHub::order(HubChannel& channel, HubOrder order) {
  resp::append_command(orders_, {commands[static_cast<std::size_t>(order)][at(channel.kind)], channel.name});
  owed_.push_back({&channel, order});
  ++channel.owed;
  set_upstream(channel, order == HubOrder::subscribe ? UpstreamState::asking : UpstreamState::leaving);
}

void SubscriptionHub::set_upstream(HubChannel& channel, UpstreamState state) {
  if (channel.upstream == UpstreamState::confirmed) --confirmed_;
  if (state == UpstreamState::confirmed) ++confirmed_;
  channel.upstream = state;
}

}  // namespace fairlead::engine
