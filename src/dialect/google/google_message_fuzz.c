#include "dialect/google/rest_internal.h"

/* Any JSON as the body of any request: read, or refused with a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct google_message *const messages[] = {
        &google_registry_message,      &google_device_message,
        &google_config_change_message, &google_command_message,
        &google_binding_message,       &google_policy_set_message,
        &google_policy_test_message,   &google_topic_message,
        &google_publish_message,       &google_subscription_message,
        &google_pull_message,          &google_acknowledge_message,
        &google_deadline_message,      &google_subscription_update_message,
    };
    json_t *body = gh_json_read(gh_slice(data, size), NULL);
    for (size_t i = 0; body != NULL && i < GH_COUNT(messages); i++) {
        struct gh_error error = {0};
        json_t *read = google_message_read(messages[i], body, &error);
        if (read == NULL && (error.code == GH_OK || error.text[0] == '\0'))
            __builtin_trap();
        json_decref(read);
    }
    json_decref(body);
    return 0;
}
