// Who is subscribed to what, so that any number of sessions cost the server one subscription per name: names
// -> sessions, session -> names, and which names the upstream link is subscribed to.
//
// Pure bookkeeping: it moves no bytes but writes down the commands that the upstream link must say, and takes
// what the server confirms or refuses. Owned by the Engine; lives on one worker's thread; never touches a
// link or a session, whose pointers it only carries.
//
//   a name upstream:  idle --SUBSCRIBE--> asking --confirmed--> confirmed --UNSUBSCRIBE--> leaving -->
//   forgotten
//                                           ^----------------------SUBSCRIBE-----------------'
//
// Every name is asked for by a command of its own: the server answers commands in their order, so the front
// of `owed_` says what an error is about, and one name that is refused takes no other with it.
//
// A SUBSCRIBE is answered whole, as Redis does it: it claims its names, and when all of them are confirmed
// the claims become subscriptions; when one is refused, none does.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/engine/subscriptions.hpp"
#include "proxy/engine/write_queue.hpp"
#include "resp/command_reader.hpp"
#include "resp/types.hpp"

namespace fairlead::engine {

struct Session;
struct Request;
struct UserHub;
struct HubChannel;
struct PendingSubscribe;
struct Subscriber;

using HubHook =
    boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
template <typename T, HubHook T::*Hook>
using HubList = boost::intrusive::list<T, boost::intrusive::member_hook<T, HubHook, Hook>,
                                       boost::intrusive::constant_time_size<false>>;

enum class HubOrder : std::uint8_t { subscribe, unsubscribe };

/// One session gets the messages of one name. There may be very many of these: it stays small.
struct Subscription {
  Subscriber* subscriber = nullptr;
  HubChannel* channel = nullptr;
  HubHook in_channel;
  HubHook in_subscriber;
};
static_assert(sizeof(Subscription) <= 48);

/// One name of a SUBSCRIBE that was not answered yet.
struct Claim {
  PendingSubscribe* command = nullptr;
  HubChannel* channel = nullptr;  // nullptr once it was refused
  HubHook in_channel;
};

struct PendingSubscribe {
  PendingSubscribe(Subscriber& subscriber_, Request* request_, std::size_t names)
      : subscriber(&subscriber_), request(request_), claims(names) {}

  [[nodiscard]] bool ready() const { return unconfirmed == 0 || !refusal.empty(); }

  Subscriber* subscriber;
  Request* request;
  std::vector<Claim> claims;  // in the command's order; never grows, since lists point into it
  std::uint32_t unconfirmed = 0;
  std::string refusal;  // the server's error
};

/// What the hub knows of a session. Exists while the session has, or asks for, a subscription.
struct Subscriber {
  explicit Subscriber(Session* session_) : session(session_) {}

  /// What Redis counts in a confirmation: channels and patterns together, shard channels apart.
  [[nodiscard]] std::uint32_t count(ChannelKind kind) const {
    return kind == ChannelKind::shard ? counts[2] : counts[0] + counts[1];
  }
  [[nodiscard]] bool subscribed() const { return counts[0] + counts[1] + counts[2] > 0; }

  Session* session;
  UserHub* home = nullptr;  // where its hub is; the Engine's
  std::array<std::uint32_t, 3> counts{};
  std::array<HubList<Subscription, &Subscription::in_subscriber>, 3> names;
  std::list<PendingSubscribe> pending;  // in the client's order
  WriteQueue parked;                    // pushes that wait for the end of a reply; the Engine's
  HubHook ready_hook;
  HubHook waiting_hook;
};

enum class UpstreamState : std::uint8_t { idle, asking, confirmed, leaving };

/// One name.
struct HubChannel {
  HubChannel(ChannelKind kind_, std::string_view name_) : kind(kind_), name(name_) {}

  [[nodiscard]] bool wanted() const { return !subscribers.empty() || !claims.empty(); }

  ChannelKind kind;
  UpstreamState upstream = UpstreamState::idle;
  std::uint32_t owed = 0;  // answers to come from the server for this name
  std::string name;
  HubList<Subscription, &Subscription::in_channel> subscribers;
  HubList<Claim, &Claim::in_channel> claims;
};

class SubscriptionHub {
 public:
  SubscriptionHub() = default;
  SubscriptionHub(const SubscriptionHub&) = delete;
  SubscriptionHub& operator=(const SubscriptionHub&) = delete;
  ~SubscriptionHub();  // asserts that every subscriber was removed

  // --- Sessions
  [[nodiscard]] Subscriber* add(Session* session);
  /// The session is gone or has nothing left: its names, claims and itself. O(names).
  void remove(Subscriber* subscriber);
  /// A SUBSCRIBE: arguments 1.. of `command` are claimed. It is answered by finish(), perhaps at once.
  void subscribe(Subscriber& subscriber, ChannelKind kind, const resp::CommandView& command,
                 Request* request);
  /// An UNSUBSCRIBE, done at once; appends its confirmations. `subscriber` may be nullptr: nothing
  /// subscribed. There must be no pending SUBSCRIBE of the session.
  void unsubscribe(Subscriber* subscriber, ChannelKind kind, const resp::CommandView& command,
                   resp::Version version, std::string& reply);
  /// A session whose first pending SUBSCRIBE can be answered; nullptr: none.
  [[nodiscard]] Subscriber* first_ready() { return ready_.empty() ? nullptr : &ready_.front(); }
  /// Ends the first pending SUBSCRIBE of a ready session and appends its reply.
  void finish(Subscriber& subscriber, resp::Version version, std::string& reply);
  /// Some SUBSCRIBE that waits for the server; nullptr: none.
  [[nodiscard]] PendingSubscribe* first_pending();
  /// Forgets the first pending SUBSCRIBE of its session without a reply.
  void abandon(PendingSubscribe& command);

  // --- Upstream
  /// The link is ready: everything wanted is asked for.
  void on_up();
  /// The link is gone; names nobody wants are forgotten.
  void on_down();
  /// The server confirmed. False when that is not what it owed.
  [[nodiscard]] bool on_confirmed(HubOrder order, ChannelKind kind, std::string_view name);
  /// The server answered a command with an error. False when it owed nothing. Sessions that had the name
  /// already, before the link was lost, and cannot keep it are appended to `losers`.
  [[nodiscard]] bool on_error(std::string_view text, std::vector<Session*>& losers);
  /// There will be no link: every SUBSCRIBE that waits is answered with `text`.
  void refuse_pending(std::string_view text);
  /// Some session that has a subscription; nullptr: none.
  [[nodiscard]] Session* any_session() const;
  /// The server ended the subscription to a shard channel by itself (its slot moved). The channel, whose
  /// subscribers are then taken one by one before settle(); nullptr when that name has no subscription.
  [[nodiscard]] HubChannel* on_moved(std::string_view name);
  [[nodiscard]] Subscriber* take_subscriber(HubChannel& channel);
  void settle(HubChannel& channel);

  [[nodiscard]] HubChannel* find(ChannelKind kind, std::string_view name) const;
  /// Whether there is anything to be subscribed to.
  [[nodiscard]] bool wants_upstream() const;
  /// Whether no session has a place here and no name is left.
  [[nodiscard]] bool unused() const { return alive_ == 0 && !wants_upstream(); }
  /// Commands for the link, to be sent and then cleared by the Engine.
  [[nodiscard]] std::string& orders() { return orders_; }

  [[nodiscard]] std::uint64_t subscribers() const { return subscribers_; }  // sessions with a subscription
  [[nodiscard]] std::uint64_t confirmed() const { return confirmed_; }      // subscriptions upstream

 private:
  struct Key {
    const Subscriber* subscriber;
    const HubChannel* channel;
  };
  static Key key_of(const Subscription* s) { return {s->subscriber, s->channel}; }
  static Key key_of(const Key& key) { return key; }
  struct Hash {
    using is_transparent = void;
    template <typename T>
    std::size_t operator()(const T& item) const {
      const Key key = key_of(item);
      return boost::hash<std::pair<const void*, const void*>>()({key.subscriber, key.channel});
    }
  };
  struct Equal {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return key_of(a).subscriber == key_of(b).subscriber && key_of(a).channel == key_of(b).channel;
    }
  };
  struct Owed {
    HubChannel* channel;
    HubOrder order;
  };
  using Channels = boost::unordered_flat_map<std::string_view, std::unique_ptr<HubChannel>>;

  HubChannel& channel_of(ChannelKind kind, std::string_view name);
  [[nodiscard]] Subscription* subscription_of(const Subscriber& subscriber, const HubChannel* channel) const;
  void activate(Subscriber& subscriber, HubChannel& channel);
  void drop(Subscription* subscription);
  void note_ready(Subscriber& subscriber);
  void want(HubChannel& channel);
  void release(HubChannel& channel);
  void order(HubChannel& channel, HubOrder order);
  void set_upstream(HubChannel& channel, UpstreamState state);

  std::array<Channels, 3> channels_;
  boost::unordered_flat_set<Subscription*, Hash, Equal> subscriptions_;
  HubList<Subscriber, &Subscriber::ready_hook> ready_;
  HubList<Subscriber, &Subscriber::waiting_hook> waiting_;
  std::deque<Owed> owed_;
  std::string orders_;
  bool up_ = false;
  std::uint64_t subscribers_ = 0;
  std::uint64_t confirmed_ = 0;
  std::uint64_t alive_ = 0;  // Subscriber objects
};

/// One confirmation, as Redis writes it. `name` nullptr: an UNSUBSCRIBE of nothing.
void append_confirmation(std::string& out, HubOrder order, ChannelKind kind, const std::string_view* name,
                         std::uint32_t count, resp::Version version);

}  // namespace fairlead::engine
