// Catch2 v2 writes its main function into one translation unit.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
