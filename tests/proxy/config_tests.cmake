# Configuration, command line, log and the HTTP listener.
fairlead_unit_test(config_tests
  SOURCES command_line_test.cpp config_test.cpp config_file_test.cpp config_value_test.cpp http_test.cpp
          http_limits_test.cpp http_login_test.cpp log_test.cpp reload_test.cpp
  LIBS fairlead_config)
# What the stats page, its API and /metrics tell.
fairlead_unit_test(admin_tests SOURCES admin_test.cpp admin_actions_test.cpp LIBS fairlead_admin)
# Which sockets are ready, and which is read next.
fairlead_unit_test(poller_tests
  SOURCES poller_test.cpp read_turns_test.cpp ${PROJECT_SOURCE_DIR}/proxy/poller.cpp ${PROJECT_SOURCE_DIR}/proxy/read_turns.cpp
  LIBS fairlead_asio)
