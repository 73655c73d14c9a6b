#include "crypto/authority.h"
#include "crypto/key.h"
#include "dialect/google/rest_testbed.h"

/* The device manager's methods, its JSON and its errors, asked as Google's Node client asks them
 * (docs/protocols/google.md). */

#define V1 "/v1/projects/acme/locations/eu1/registries"
#define QUERY "$alt=json%3Benum-encoding=int"
#define EC "$8"
#define RSA "$9"
#define CA "$7"

static const struct gh_caller nobody = {.kind = GH_CALLER_NOBODY};
static const struct gh_caller viewer = {
    .kind = GH_CALLER_TOKEN, .name = GH_SLICE_INIT("v"), .role = GH_SLICE_INIT("viewer")};
static struct gh_caller stranger = {
    .kind = GH_CALLER_TOKEN, .name = GH_SLICE_INIT("s"), .role = GH_SLICE_INIT("administrator")};

static const struct testbed_row registry_rows[] = {
    {"create as the Node client does", "POST", V1 "?" QUERY,
     "{\"eventNotificationConfigs\":[{\"subfolderMatches\":\"alerts\",\"pubsubTopicName\":"
     "\"projects/acme/topics/alarms\"},{\"subfolderMatches\":\"\",\"pubsubTopicName\":\"projects/"
     "acme/"
     "topics/"
     "telemetry\"}],\"credentials\":[],\"id\":\"r1x\",\"mqttConfig\":{\"mqttEnabledState\":1},"
     "\"logLevel\":40}",
     200,
     .says =
         {"\"id\":\"r1x\"", "\"name\":\"projects/acme/locations/eu1/registries/r1x\"",
          "{\"subfolderMatches\":\"alerts\",\"pubsubTopicName\":\"projects/acme/topics/alarms\"},"
          "{\"pubsubTopicName\":\"projects/acme/topics/telemetry\"}",
          "\"mqttEnabledState\":\"MQTT_ENABLED\"", "\"httpEnabledState\":\"HTTP_ENABLED\"",
          "\"logLevel\":\"DEBUG\""},
     .says_not = {"\"credentials\"", "stateNotificationConfig"}},
    {"create it again", "POST", V1, "{\"id\":\"r1x\"}", 409,
     .says = {"\"code\":409", "\"status\":\"ALREADY_EXISTS\""}},
    {"create with snake_case and names", "POST", V1,
     "{\"id\":\"r2x\",\"mqtt_config\":{\"mqtt_enabled_state\":\"MQTT_DISABLED\"},"
     "\"state_notification_config\":{\"pubsub_topic_name\":\"projects/acme/topics/states\"}}",
     200,
     .says = {"\"mqttEnabledState\":\"MQTT_DISABLED\"",
              "\"stateNotificationConfig\":{\"pubsubTopicName\":\"projects/acme/topics/states\"}"},
     .says_not = {"logLevel", "eventNotificationConfigs"}},
    {"an id that is too short", "POST", V1, "{\"id\":\"r\"}", 400,
     .says = {"\"status\":\"INVALID_ARGUMENT\""}},
    {"a name in a create", "POST", V1, "{\"id\":\"r3x\",\"name\":\"x\"}", 400,
     .says = {"INVALID_ARGUMENT", "name"}},
    {"an unknown field", "POST", V1, "{\"id\":\"r3x\",\"color\":1}", 400,
     .says = {"INVALID_ARGUMENT", "color"}},
    {"an unknown enum value", "POST", V1, "{\"id\":\"r3x\",\"logLevel\":\"LOUD\"}", 400,
     .says = {"logLevel"}},
    {"a body that is no JSON", "POST", V1, "{", 400, .says = {"INVALID_ARGUMENT"}},
    {"a route after the catch-all", "POST", V1,
     "{\"id\":\"r3x\",\"eventNotificationConfigs\":[{\"pubsubTopicName\":\"projects/acme/topics/"
     "t\"},"
     "{\"subfolderMatches\":\"a\",\"pubsubTopicName\":\"projects/acme/topics/t\"}]}",
     400, .says = {"INVALID_ARGUMENT"}},
    {"a topic of another project", "POST", V1,
     "{\"id\":\"r3x\",\"eventNotificationConfigs\":[{\"pubsubTopicName\":\"projects/other/topics/"
     "t\"}]}",
     400, .says = {"INVALID_ARGUMENT", "another project"}},
    {"a topic without its path", "POST", V1,
     "{\"id\":\"r3x\",\"eventNotificationConfigs\":[{\"pubsubTopicName\":\"telemetry\"}]}", 400,
     .says = {"INVALID_ARGUMENT", "pubsubTopicName"}},
    {"get", "GET", V1 "/r1x?" QUERY, "", 200, .says = {"\"id\":\"r1x\""}},
    {"get under another location", "GET", "/v1/projects/acme/locations/us1/registries/r1x", "", 404,
     .says = {"NOT_FOUND"}},
    {"get what is not there", "GET", V1 "/r9x", "", 404,
     .says = {"\"code\":404", "\"status\":\"NOT_FOUND\""}},
    {"get by the project's number", "GET", "/v1/projects/$0/locations/eu1/registries/r1x", "", 200,
     .says = {"projects/acme/locations/eu1/registries/r1x"}},
    {"patch with an encoded mask", "PATCH", V1 "/r1x?updateMask=log_level%2Chttp_config&" QUERY,
     "{\"httpConfig\":{\"httpEnabledState\":2},\"logLevel\":30}", 200,
     .says = {"\"httpEnabledState\":\"HTTP_DISABLED\"", "\"logLevel\":\"INFO\"", "topics/alarms",
              "MQTT_ENABLED"}},
    {"patch with a camelCase mask", "PATCH",
     V1 "/r1x?updateMask=httpConfig,eventNotificationConfigs", "{}", 200,
     .says = {"HTTP_ENABLED", "\"logLevel\":\"INFO\""}, .says_not = {"eventNotificationConfigs"}},
    {"patch without a mask", "PATCH", V1 "/r1x", "{\"logLevel\":30}", 400,
     .says = {"INVALID_ARGUMENT", "updateMask"}},
    {"patch of what cannot change", "PATCH", V1 "/r1x?updateMask=id", "{}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"patch with another id", "PATCH", V1 "/r1x?updateMask=log_level", "{\"id\":\"rrr\"}", 400,
     .says = {"id"}},
    {"an unknown query parameter", "GET", V1 "/r1x?colour=red", "", 400,
     .says = {"INVALID_ARGUMENT", "colour"}},
    {"ignored query parameters", "GET",
     V1
     "/r1x?alt=json&prettyPrint=false&fields=id&key=k&quotaUser=u&uploadType=x&upload_protocol=raw"
     "&%24.xgafv=2&callback=c&access_token=t&oauth_token=t&%24prettyPrint=1",
     "", 200, .says = {"\"id\":\"r1x\""}},
    {"list", "GET", V1, "", 200,
     .says = {"\"deviceRegistries\":[{\"id\":\"r1x\"", "\"id\":\"r2x\""},
     .says_not = {"nextPageToken"}},
    {"the first page", "GET", V1 "?pageSize=1&" QUERY, "", 200, .says = {"r1x", "nextPageToken"},
     .says_not = {"r2x"}, .keep = "nextPageToken", .slot = 1},
    {"the second page", "GET", V1 "?pageSize=1&pageToken=$1", "", 200, .says = {"r2x"},
     .says_not = {"r1x"}},
    {"a page too large is cut", "GET", V1 "?pageSize=100000", "", 200, .says = {"r1x", "r2x"}},
    {"a page below zero", "GET", V1 "?pageSize=-1", "", 400, .says = {"pageSize"}},
    {"lists of another location are empty", "GET", "/v1/projects/acme/locations/us1/registries", "",
     200, .says = {"{}"}},
    {"create with a certificate", "PATCH", V1 "/r2x?updateMask=credentials",
     "{\"credentials\":[{\"publicKeyCertificate\":{\"format\":\"X509_CERTIFICATE_PEM\","
     "\"certificate\":\"" CA "\"}}]}",
     200,
     .says = {"\"format\":\"X509_CERTIFICATE_PEM\"", "-----BEGIN CERTIFICATE-----",
              "\"x509Details\"", "\"issuer\":\"CN=Acme CA\",\"subject\":\"CN=Acme CA\"",
              "ecdsa-with-SHA256", "\"startTime\":\"2020-", "\"expiryTime\":\"2096-"}},
    {"a certificate without format", "PATCH", V1 "/r2x?updateMask=credentials",
     "{\"credentials\":[{\"publicKeyCertificate\":{\"certificate\":\"" CA "\"}}]}", 400,
     .says = {"format"}},
    {"a bare key where only certificates pass", "POST", V1 "/r2x/devices",
     "{\"id\":\"d9x\",\"credentials\":[{\"publicKey\":{\"format\":2,\"key\":\"" EC "\"}}]}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"delete", "DELETE", V1 "/r2x?" QUERY, "", 200, .says = {"{}"}},
    {"delete it again", "DELETE", V1 "/r2x", "", 404, .says = {"NOT_FOUND"}},
    {"no such method", "POST", V1 "/r1x:explode", "{}", 404, .says = {"NOT_FOUND"}},
    {"no such path", "GET", "/v1/projects/acme/zones", "", 404, .says = {"NOT_FOUND"}},
};

static const struct testbed_row device_rows[] = {
    {"create with everything", "POST", V1 "/r1x/devices?" QUERY,
     "{\"credentials\":[{\"publicKey\":{\"format\":2,\"key\":\"" EC "\"},\"expirationTime\":"
     "\"2033-05-18T03:33:20.000Z\"},{\"publicKey\":{\"format\":\"RSA_PEM\",\"key\":\"" RSA "\"},"
     "\"expirationTime\":\"1970-01-01T00:00:00Z\"}],\"metadata\":{\"x\":\"y\"},\"id\":\"d1x\","
     "\"blocked\":true,"
     "\"config\":{\"binaryData\":\"aGk=\"},\"gatewayConfig\":{\"gatewayType\":2,"
     "\"gatewayAuthMethod\":1}}",
     200,
     .says = {"\"id\":\"d1x\"", "\"blocked\":true", "\"format\":\"ES256_PEM\"",
              "\"expirationTime\":\"2033-05-18T03:33:20.000Z\"", "\"format\":\"RSA_PEM\"",
              "\"metadata\":{\"x\":\"y\"}", "\"version\":\"1\"", "\"binaryData\":\"aGk=\""},
     .says_not = {"1970", "\"state\"", "lastEventTime", "lastError"}, .keep = "numId", .slot = 1},
    {"get by id", "GET", V1 "/r1x/devices/d1x", "", 200,
     .says = {"\"numId\":\"$1\"",
              "\"name\":\"projects/acme/locations/eu1/registries/r1x/devices/$1\"",
              "\"gatewayAuthMethod\":\"ASSOCIATION_ONLY\""}},
    {"get by number", "GET", V1 "/r1x/devices/$1", "", 200, .says = {"\"id\":\"d1x\""}},
    {"get through a group", "GET", V1 "/r1x/groups/any/devices/d1x", "", 200,
     .says = {"\"id\":\"d1x\""}},
    {"get with a field mask", "GET",
     V1 "/r1x/devices/d1x?fieldMask=last_heartbeat_time%2Cconfig.version&" QUERY, "", 200,
     .says = {"\"config\":{\"version\":\"1\"}", "\"id\":\"d1x\""},
     .says_not = {"credentials", "metadata", "blocked", "binaryData"}},
    {"get with an unknown field in the mask", "GET", V1 "/r1x/devices/d1x?fieldMask=colour", "",
     400, .says = {"fieldMask"}},
    {"get what is not there", "GET", V1 "/r1x/devices/d0x", "", 404, .says = {"NOT_FOUND"}},
    {"create with an id that is encoded", "POST", V1 "/r1x/devices", "{\"id\":\"a+b%c~d\"}", 200,
     .says = {"\"id\":\"a+b%c~d\""}},
    {"get by the encoded id", "GET", V1 "/r1x/devices/a%2Bb%25c~d", "", 200,
     .says = {"\"id\":\"a+b%c~d\""}},
    {"create again", "POST", V1 "/r1x/devices", "{\"id\":\"d1x\"}", 409,
     .says = {"ALREADY_EXISTS"}},
    {"create with a version", "POST", V1 "/r1x/devices",
     "{\"id\":\"d2x\",\"config\":{\"version\":\"1\"}}", 400, .says = {"config.version"}},
    {"create with a number", "POST", V1 "/r1x/devices", "{\"id\":\"d2x\",\"numId\":\"5\"}", 400,
     .says = {"numId"}},
    {"create with a name", "POST", V1 "/r1x/devices", "{\"id\":\"d2x\",\"name\":\"n\"}", 400,
     .says = {"name"}},
    {"create with a reserved id", "POST", V1 "/r1x/devices", "{\"id\":\"google-1\"}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"an EC key said to be RSA", "POST", V1 "/r1x/devices",
     "{\"id\":\"d2x\",\"credentials\":[{\"publicKey\":{\"format\":3,\"key\":\"" EC "\"}}]}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"a key without a format", "POST", V1 "/r1x/devices",
     "{\"id\":\"d2x\",\"credentials\":[{\"publicKey\":{\"key\":\"k\"}}]}", 400, .says = {"format"}},
    {"a key that is none", "POST", V1 "/r1x/devices",
     "{\"id\":\"d2x\",\"credentials\":[{\"publicKey\":{\"format\":2,\"key\":\"k\"}}]}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"four keys", "POST", V1 "/r1x/devices", "{\"id\":\"d2x\",\"credentials\":[{},{},{},{}]}", 400,
     .says = {"at most 3"}},
    {"create with nothing but an id", "POST", V1 "/r1x/devices", "{\"id\":\"d2x\"}", 200,
     .says = {"\"version\":\"1\""},
     .says_not = {"blocked", "credentials", "metadata", "gatewayConfig", "binaryData"}},
    {"patch", "PATCH", V1 "/r1x/devices/d1x?updateMask=blocked%2Cmetadata&" QUERY,
     "{\"metadata\":{\"k\":\"v\"}}", 200, .says = {"\"metadata\":{\"k\":\"v\"}", "ES256_PEM"},
     .says_not = {"\"blocked\""}},
    {"patch with a nested mask", "PATCH",
     V1 "/r1x/devices/$1?updateMask=gateway_config.gateway_auth_method,logLevel",
     "{\"gatewayConfig\":{\"gatewayAuthMethod\":\"DEVICE_AUTH_TOKEN_ONLY\"},\"logLevel\":"
     "\"ERROR\"}",
     200, .says = {"DEVICE_AUTH_TOKEN_ONLY", "\"logLevel\":\"ERROR\""}},
    {"patch through a group", "PATCH", V1 "/r1x/groups/g/devices/d1x?updateMask=blocked",
     "{\"blocked\":true}", 200, .says = {"\"blocked\":true"}},
    {"patch of config", "PATCH", V1 "/r1x/devices/d1x?updateMask=config", "{}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"patch of the gateway type", "PATCH",
     V1 "/r1x/devices/d1x?updateMask=gateway_config.gateway_type", "{}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"patch with an empty mask", "PATCH", V1 "/r1x/devices/d1x?updateMask=", "{}", 400,
     .says = {"updateMask"}},
    {"patch with another id", "PATCH", V1 "/r1x/devices/d1x?updateMask=blocked", "{\"id\":\"zzz\"}",
     400, .says = {"id"}},
    {"a list has ids only", "GET", V1 "/r1x/devices", "", 200,
     .says = {"{\"id\":\"d1x\",\"numId\":\"$1\"}", "d2x", "a+b%c~d"},
     .says_not = {"blocked", "name", "nextPageToken"}},
    {"a list with a field mask", "GET",
     V1 "/r1x/devices?fieldMask=log_level%2Cblocked,config.binary_data,metadata,credentials", "",
     200,
     .says = {"\"logLevel\":\"ERROR\"", "\"blocked\":true", "\"binaryData\":\"aGk=\"", "ES256_PEM",
              "\"k\":\"v\""},
     .says_not = {"lastEventTime", "\"name\"", "version"}},
    {"a list by ids", "GET", V1 "/r1x/devices?deviceIds=d2x&deviceIds=d9x", "", 200,
     .says = {"d2x"}, .says_not = {"d1x"}},
    {"a list by ids and numbers", "GET",
     V1 "/r1x/devices?deviceNumIds=$1&deviceIds=d2x&pageSize=5&" QUERY, "", 200,
     .says = {"d2x", "d1x"}, .says_not = {"a+b"}},
    {"a list by snake_case", "GET", V1 "/r1x/devices?device_ids=d2x&page_size=5", "", 200,
     .says = {"d2x"}, .says_not = {"d1x"}},
    {"a number that is none", "GET", V1 "/r1x/devices?deviceNumIds=x", "", 400,
     .says = {"deviceNumIds"}},
    {"the first page", "GET", V1 "/r1x/devices?pageSize=2", "", 200, .says = {"nextPageToken"},
     .keep = "nextPageToken", .slot = 2},
    {"the last page", "GET", V1 "/r1x/devices?pageSize=2&pageToken=$2", "", 200,
     .says = {"devices"}, .says_not = {"nextPageToken"}},
    {"a token of another list", "GET", V1 "/r1x/devices?pageSize=2&pageToken=$2&deviceIds=d1x", "",
     400, .says = {"INVALID_ARGUMENT"}},
    {"a token that is none", "GET", V1 "/r1x/devices?pageToken=xyz", "", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"a registry with devices stays", "DELETE", V1 "/r1x", "", 400,
     .says = {"FAILED_PRECONDITION"}},
    {"delete", "DELETE", V1 "/r1x/devices/a%2Bb%25c~d", "", 200, .says = {"{}"}},
    {"delete it again", "DELETE", V1 "/r1x/devices/a%2Bb%25c~d", "", 404, .says = {"NOT_FOUND"}},
    {"delete has no group form", "DELETE", V1 "/r1x/groups/g/devices/d1x", "", 404,
     .says = {"NOT_FOUND"}},
};

static const struct testbed_row gateway_rows[] = {
    {"a gateway", "POST", V1 "/r1x/devices",
     "{\"id\":\"g1x\",\"gatewayConfig\":{\"gatewayType\":\"GATEWAY\",\"gatewayAuthMethod\":3}}",
     200,
     .says =
         {"\"gatewayConfig\":{\"gatewayType\":\"GATEWAY\",\"gatewayAuthMethod\":\"ASSOCIATION_AND_"
          "DEVICE_AUTH_TOKEN\"}"}},
    {"bind", "POST", V1 "/r1x:bindDeviceToGateway?" QUERY,
     "{\"gatewayId\":\"g1x\",\"deviceId\":\"d2x\"}", 200, .says = {"{}"}},
    {"bind twice, through a group", "POST", V1 "/r1x/groups/g:bindDeviceToGateway",
     "{\"gateway_id\":\"g1x\",\"device_id\":\"d2x\"}", 200, .says = {"{}"}},
    {"bind to what is no gateway", "POST", V1 "/r1x:bindDeviceToGateway",
     "{\"gatewayId\":\"d1x\",\"deviceId\":\"d2x\"}", 400, .says = {"INVALID_ARGUMENT"}},
    {"bind a gateway", "POST", V1 "/r1x:bindDeviceToGateway",
     "{\"gatewayId\":\"g1x\",\"deviceId\":\"g1x\"}", 400, .says = {"INVALID_ARGUMENT"}},
    {"bind half", "POST", V1 "/r1x:bindDeviceToGateway", "{\"gatewayId\":\"g1x\"}", 400,
     .says = {"INVALID_ARGUMENT"}},
    {"bind what is not there", "POST", V1 "/r1x:bindDeviceToGateway",
     "{\"gatewayId\":\"g1x\",\"deviceId\":\"d0x\"}", 404, .says = {"NOT_FOUND"}},
    {"list gateways", "GET", V1 "/r1x/devices?gatewayListOptions.gatewayType=1", "", 200,
     .says = {"g1x"}, .says_not = {"d1x", "d2x"}},
    {"list others", "GET", V1 "/r1x/devices?gatewayListOptions.gatewayType=NON_GATEWAY", "", 200,
     .says = {"d1x", "d2x"}, .says_not = {"g1x"}},
    {"list what is bound", "GET", V1 "/r1x/devices?gatewayListOptions.associationsGatewayId=g1x",
     "", 200, .says = {"d2x"}, .says_not = {"d1x"}},
    {"list where it is bound", "GET",
     V1 "/r1x/devices?gateway_list_options.associations_device_id=d2x", "", 200, .says = {"g1x"},
     .says_not = {"d1x"}},
    {"list with two filters", "GET",
     V1
     "/r1x/devices?gatewayListOptions.gatewayType=1&gatewayListOptions.associationsGatewayId=g1x",
     "", 400, .says = {"gatewayListOptions"}},
    {"list with an unknown type", "GET", V1 "/r1x/devices?gatewayListOptions.gatewayType=7", "",
     400, .says = {"gatewayType"}},
    {"delete a gateway with devices", "DELETE", V1 "/r1x/devices/g1x", "", 400,
     .says = {"FAILED_PRECONDITION"}},
    {"delete a bound device", "DELETE", V1 "/r1x/devices/d2x", "", 400,
     .says = {"FAILED_PRECONDITION"}},
    {"unbind", "POST", V1 "/r1x:unbindDeviceFromGateway",
     "{\"gatewayId\":\"g1x\",\"deviceId\":\"d2x\"}", 200, .says = {"{}"}},
    {"unbind twice", "POST", V1 "/r1x/groups/g:unbindDeviceFromGateway",
     "{\"gatewayId\":\"g1x\",\"deviceId\":\"d2x\"}", 200, .says = {"{}"}},
    {"delete the gateway", "DELETE", V1 "/r1x/devices/g1x", "", 200, .says = {"{}"}},
};

static const struct testbed_row document_rows[] = {
    {"the first change", "POST", V1 "/r1x/devices/d1x:modifyCloudToDeviceConfig?" QUERY,
     "{\"versionToUpdate\":\"0\",\"binaryData\":\"+//+\"}", 200,
     .says = {"\"version\":\"2\"", "\"binaryData\":\"+//+\"", "cloudUpdateTime"},
     .says_not = {"deviceAckTime"}},
    {"a second one at once", "POST", V1 "/r1x/devices/d1x:modifyCloudToDeviceConfig",
     "{\"binaryData\":\"AA==\"}", 429, .says = {"\"code\":429", "RESOURCE_EXHAUSTED"}},
    {"a version that is not current", "POST", V1 "/r1x/devices/d1x:modifyCloudToDeviceConfig",
     "{\"versionToUpdate\":\"7\",\"binaryData\":\"AA==\"}", 409,
     .says = {"\"code\":409", "ABORTED"}},
    {"a second later, guarded, URL alphabet", "POST",
     V1 "/r1x/groups/g/devices/d1x:modifyCloudToDeviceConfig",
     "{\"version_to_update\":2,\"binary_data\":\"-__-\"}", 200,
     .says = {"\"version\":\"3\"", "\"binaryData\":\"+//+\""}, .later_ms = 1000},
    {"an empty one", "POST", V1 "/r1x/devices/d1x:modifyCloudToDeviceConfig", "{}", 200,
     .says = {"\"version\":\"4\""}, .says_not = {"binaryData"}, .later_ms = 1000},
    {"bad base64", "POST", V1 "/r1x/devices/d1x:modifyCloudToDeviceConfig",
     "{\"binaryData\":\"?\"}", 400, .says = {"binaryData"}, .later_ms = 1000},
    {"versions, newest first", "GET", V1 "/r1x/devices/d1x/configVersions", "", 200,
     .says = {"{\"deviceConfigs\":[{\"version\":\"4\"", "\"version\":\"1\""}},
    {"versions, at most two", "GET",
     V1 "/r1x/groups/g/devices/$1/configVersions?numVersions=2&" QUERY, "", 200,
     .says = {"\"version\":\"4\"", "\"version\":\"3\""}, .says_not = {"\"version\":\"2\""}},
    {"versions below zero", "GET", V1 "/r1x/devices/d1x/configVersions?num_versions=-1", "", 400,
     .says = {"numVersions"}},
    {"no states", "GET", V1 "/r1x/devices/d2x/states", "", 200, .says = {"{}"}},
    {"states, newest first", "GET", V1 "/r1x/devices/d1x/states?numStates=10", "", 200,
     .says = {"{\"deviceStates\":[{\"updateTime\":\"2026-01-01T00:00:01.000Z\",\"binaryData\":\"Mg="
              "=\"}",
              "\"binaryData\":\"MQ==\""}},
    {"states, one", "GET", V1 "/r1x/groups/g/devices/d1x/states?numStates=1", "", 200,
     .says = {"Mg=="}, .says_not = {"MQ=="}},
    {"the device shows state and times", "GET", V1 "/r1x/devices/d1x", "", 200,
     .says = {"\"state\":{\"updateTime\":\"2026-01-01T00:00:01.000Z\",\"binaryData\":\"Mg==\"}",
              "\"lastHeartbeatTime\":\"2026-01-01T00:00:02.000Z\"",
              "\"lastStateTime\":\"2026-01-01T00:00:01.000Z\"",
              "\"lastErrorTime\":\"2026-01-01T00:00:03.000Z\"",
              "\"lastErrorStatus\":{\"code\":9,\"message\":\"no topic\"}"}},
    {"documents of what is not there", "GET", V1 "/r1x/devices/d0x/states", "", 404,
     .says = {"NOT_FOUND"}},
};

static const struct testbed_row right_rows[] = {
    {"without a token", "GET", V1 "/r1x", "", 401, .caller = &nobody,
     .says = {"\"code\":401", "UNAUTHENTICATED"}},
    {"without a token, no such path", "GET", "/v1/projects/acme/zones", "", 401, .caller = &nobody,
     .says = {"UNAUTHENTICATED"}},
    {"a viewer looks", "GET", V1 "/r1x/devices/d1x", "", 200, .caller = &viewer, .says = {"d1x"}},
    {"a viewer changes nothing", "PATCH", V1 "/r1x?updateMask=log_level", "{}", 403,
     .caller = &viewer,
     .says = {"\"code\":403", "PERMISSION_DENIED", "cloudiot.registries.update"}},
    {"a viewer learns nothing of registries", "DELETE", V1 "/r9x", "", 403, .caller = &viewer,
     .says = {"PERMISSION_DENIED"}},
    {"another tenant's administrator", "GET", V1 "/r1x", "", 403, .caller = &stranger,
     .says = {"PERMISSION_DENIED"}},
    {"and what does not exist", "GET", V1 "/r9x", "", 403, .caller = &stranger,
     .says = {"PERMISSION_DENIED"}},
    {"and a project that does not exist", "GET", "/v1/projects/none/locations/eu1/registries", "",
     403, .caller = &stranger, .says = {"PERMISSION_DENIED"}},
    {"an unknown project for who may see all", "GET", "/v1/projects/none/locations/eu1/registries",
     "", 404, .says = {"NOT_FOUND"}},
    {"bad bodies are not looked at before", "POST", V1, "{", 403, .caller = &viewer,
     .says = {"PERMISSION_DENIED"}},
};

/* A registry that another face made has no location and answers under any. */
static const struct testbed_row native_rows[] = {
    {"get", "GET", V1 "/native", "", 200,
     .says = {"projects/acme/locations/eu1/registries/native"}},
    {"a device in it", "POST", "/v1/projects/acme/locations/us1/registries/native/devices",
     "{\"id\":\"dev\"}", 200, .says = {"locations/us1/registries/native/devices/"}},
    {"the device elsewhere", "GET", V1 "/native/devices/dev", "", 200,
     .says = {"locations/eu1/registries/native/devices/"}},
    {"a list", "GET", V1, "", 200, .says = {"registries/native", "registries/r1x"}},
};

static void make_native_registry(struct testbed *bed)
{
    struct gh_error error;
    struct gh_registry registry = {
        .tenant = bed->tenant.number, .name = GH_SLICE("native"), .mqtt_enabled = true};
    REQUIRE("a registry without a location",
            gh_directory_registry_create(bed->services.directory, &registry, &error) == GH_OK);
}

static const struct {
    const char *claim, *body;
    enum gh_command_outcome outcome;
    int status;
    const char *says, *sent;
} commands[] = {
    {"a command arrives", "{\"binaryData\":\"Z28=\",\"subfolder\":\"a/b\"}", GH_COMMAND_OK, 200,
     "{}", "a/b go"},
    {"without a subfolder", "{\"binary_data\":\"Z28\"}", GH_COMMAND_OK, 200, "{}", " go"},
    {"not connected", "{\"binaryData\":\"Z28=\"}", GH_COMMAND_NOT_CONNECTED, 400,
     "FAILED_PRECONDITION", " go"},
    {"not subscribed", "{\"binaryData\":\"Z28=\"}", GH_COMMAND_NOT_SUBSCRIBED, 400,
     "FAILED_PRECONDITION", " go"},
    {"no PUBACK", "{\"binaryData\":\"Z28=\"}", GH_COMMAND_TIMEOUT, 504, "DEADLINE_EXCEEDED", " go"},
    {"too many under way", "{\"binaryData\":\"Z28=\"}", GH_COMMAND_FULL, 429, "RESOURCE_EXHAUSTED",
     " go"},
    {"a wildcard", "{\"binaryData\":\"Z28=\",\"subfolder\":\"a/#\"}", GH_COMMAND_OK, 400,
     "subfolder", ""},
    {"bad base64", "{\"binaryData\":\"*\"}", GH_COMMAND_OK, 400, "binaryData", ""},
};

static void check_commands(struct testbed *bed)
{
    for (size_t i = 0; i < GH_COUNT(commands); i++) {
        char *said;
        bed->outcome = commands[i].outcome;
        bed->command[0] = '\0';
        int status = testbed_ask(bed, NULL, "POST", V1 "/r1x/devices/d1x:sendCommandToDevice",
                                 commands[i].body, &said);
        CHECK(commands[i].claim, status == commands[i].status);
        CHECK(commands[i].claim, strstr(said, commands[i].says) != NULL);
        CHECK(commands[i].claim, strcmp(bed->command, commands[i].sent) == 0);
        free(said);
    }
}

/* What a device did, at fixed times. */
static void live(struct testbed *bed)
{
    enum { NEW_YEAR = 1767225600 }; /* 2026-01-01T00:00:00Z */
    const int64_t start_ms = INT64_C(1000) * NEW_YEAR;
    struct gh_directory *directory = bed->services.directory;
    struct gh_error error;
    struct gh_arena arena;
    struct gh_device device;
    gh_arena_init(&arena, TESTBED_ARENA_MAX);
    REQUIRE("the device is there",
            gh_directory_device_find(directory, bed->tenant.number, GH_SLICE("r1x"),
                                     GH_SLICE("eu1"), GH_SLICE("d1x"), &arena, &device,
                                     &error) == GH_OK);
    REQUIRE("state 1", gh_directory_state_set(directory, device.number, GH_SLICE("1"), start_ms,
                                              &error) == GH_OK);
    REQUIRE("state 2", gh_directory_state_set(directory, device.number, GH_SLICE("2"),
                                              start_ms + 1000, &error) == GH_OK);
    gh_directory_note(directory, device.number, GH_ACTIVITY_HEARTBEAT, start_ms + 2000);
    gh_directory_note_error(directory, device.number, 9, GH_SLICE("no topic"), start_ms + 3000);
    gh_arena_deinit(&arena);
}

/* PEM as it stands inside a JSON string. */
static void keep_pem(struct testbed *bed, int slot, struct gh_slice pem)
{
    struct gh_buffer text;
    gh_buffer_init(&text, TESTBED_TEXT_MAX);
    for (size_t i = 0; i < pem.size; i++) {
        if (pem.data[i] == '\n')
            gh_buffer_put(&text, GH_SLICE("\\n"));
        else
            gh_buffer_u8(&text, pem.data[i]);
    }
    testbed_keep(bed, slot, gh_buffer_slice(&text));
    gh_buffer_deinit(&text);
}

static void make_key(struct testbed *bed, int slot, enum gh_key_kind kind)
{
    struct gh_buffer pem;
    struct gh_private_key *key = gh_private_key_generate(kind, NULL);
    gh_buffer_init(&pem, GH_KEY_PEM_MAX);
    REQUIRE("a key", key != NULL && gh_private_key_print_public(key, &pem));
    keep_pem(bed, slot, gh_buffer_slice(&pem));
    gh_buffer_deinit(&pem);
    gh_private_key_close(key);
}
static void make_certificate(struct testbed *bed)
{
    struct gh_buffer key, certificate;
    gh_buffer_init(&key, GH_KEY_PEM_MAX);
    gh_buffer_init(&certificate, GH_KEY_PEM_MAX);
    struct gh_validity validity = {.from_s = INT64_C(1577836800), .to_s = INT64_C(4000000000)};
    REQUIRE("a certificate",
            gh_authority_create(GH_SLICE("Acme CA"), validity, &key, &certificate, NULL) == GH_OK);
    keep_pem(bed, 7, gh_buffer_slice(&certificate));
    gh_buffer_deinit(&certificate);
    gh_buffer_deinit(&key);
}

int main(void)
{
    struct testbed bed;
    char number[24];
    testbed_open(&bed);
    snprintf(number, sizeof(number), "%lld", (long long)bed.tenant.number);
    testbed_keep(&bed, 0, gh_slice_text(number));
    make_key(&bed, 8, GH_KEY_P256);
    make_key(&bed, 9, GH_KEY_RSA);
    make_certificate(&bed);
    stranger.tenant = bed.other.number;
    testbed_run(&bed, registry_rows, GH_COUNT(registry_rows));
    testbed_run(&bed, device_rows, GH_COUNT(device_rows));
    testbed_run(&bed, gateway_rows, GH_COUNT(gateway_rows));
    live(&bed);
    testbed_run(&bed, document_rows, GH_COUNT(document_rows));
    check_commands(&bed);
    testbed_run(&bed, right_rows, GH_COUNT(right_rows));
    make_native_registry(&bed);
    testbed_run(&bed, native_rows, GH_COUNT(native_rows));
    testbed_close(&bed);
    return check_report();
}
