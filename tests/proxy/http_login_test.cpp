#include "proxy/admin/http_login.hpp"

#include <catch2/catch.hpp>

namespace fairlead::proxy {
namespace {

const HttpLogin admin{"admin", "s3cret"};

TEST_CASE("base64") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("Zg==") == "f");
  CHECK(decode_base64("Zm8=") == "fo");
  CHECK(decode_base64("Zm9v") == "foo");
  CHECK(decode_base64("Zm9vYmFy") == "foobar");
  CHECK(decode_base64("//79") == "\xff\xfe\xfd");
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "====", "Z===", "Zm9v!mFy", "Zm=v", "Zm9v\n"}) {
    CAPTURE(text);
    CHECK(decode_base64(text) == std::nullopt);
  }
}

TEST_CASE("a login matches as a whole or not at all") {
  CHECK(login_matches(admin, "Basic YWRtaW46czNjcmV0"));
  CHECK(login_matches(admin, "basic YWRtaW46czNjcmV0"));
  CHECK(login_matches(admin, "BASIC   YWRtaW46czNjcmV0"));
  CHECK_FALSE(login_matches(admin, ""));
  CHECK_FALSE(login_matches(admin, "Basic"));
  CHECK_FALSE(login_matches(admin, "Basic "));
  CHECK_FALSE(login_matches(admin, "Bearer YWRtaW46czNjcmV0"));
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW46czNjcmV"));
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW4="));              // admin
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW46"));              // admin:
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW46czNjcmU="));      // admin:s3cre
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW46czNjcmV0eA=="));  // admin:s3cretx
  CHECK_FALSE(login_matches(admin, "Basic cm9vdDpzM2NyZXQ="));      // root:s3cret
  // The secret twice: a comparison that wraps around must still see the length.
  CHECK_FALSE(login_matches(admin, "Basic YWRtaW46czNjcmV0czNjcmV0"));
}

TEST_CASE("passwords may hold colons; without a user any name will do") {
  CHECK(login_matches({"a", "b:c"}, "Basic YTpiOmM="));
  CHECK(login_matches({"", "b:c"}, "Basic YTpiOmM="));
  CHECK(login_matches({"", "s3cret"}, "Basic cm9vdDpzM2NyZXQ="));
  CHECK_FALSE(login_matches({"", "s3cret"}, "Basic YWRtaW46"));
}

TEST_CASE("require_login: open paths, refusals, and nothing to ask for") {
  const HttpHandler page = [](const HttpRequestView&) { return HttpReply{}; };
  const HttpHandler guarded = require_login(admin, {"/healthz"}, page);
  const auto status = [&](const HttpHandler& handler, std::string_view target,
                          std::string_view authorization) {
    return handler({"GET", target, authorization, {}, {}, {}, {}}).status;
  };
  CHECK(status(guarded, "/metrics", "") == 401);
  CHECK(status(guarded, "/metrics", "Basic YWRtaW46eA==") == 401);
  CHECK(status(guarded, "/metrics", "Basic YWRtaW46czNjcmV0") == 200);
  CHECK(status(guarded, "/healthz", "") == 200);
  CHECK(status(guarded, "/healthz?x", "") == 200);
  CHECK(status(guarded, "/healthz/../metrics", "") == 401);
  CHECK(status(guarded, "/metrics?/healthz", "") == 401);
  CHECK(status(require_login({"admin", ""}, {}, page), "/metrics", "") == 200);
}

}  // namespace
}  // namespace fairlead::proxy
