"""What docs/security.md says cannot happen: the tests that try it, or whose limit it is. Knows no way to read the page.

A key is a part of the page that stands there once. A test is named by its module in tests/ and its function.
"""

from __future__ import annotations

from collections.abc import Mapping

POLICIES = "integration/api/test_training_policies.py::"
HUB, RIGHTS = "integration/api/test_hub_policies.py::", "integration/api/test_rights.py::"
WRITES = "integration/api/test_hub_writes.py::"
OWNERS = "integration/api/test_owners.py::"
DATASET = "integration/api/test_training_dataset.py::"
ENROLMENT = "unit/cli/test_check_enrolment.py::"
SCORE, SEND = "unit/pod/test_score.py::", "unit/courier/test_send.py::"
SITE_WRITES = "integration/api/test_site_writes.py::"

PROMISES: Mapping[str, tuple[str, ...]] = {
    "if `prepare` cannot test, `prepare` fails the pod": (
        "unit/pod/test_gate.py::test_malformed_or_missing_targets_fail_the_gate",
        "unit/pod/test_gate.py::test_code_that_takes_all_ports_does_not_blind_the_gate",
    ),
    "An image cannot replace the launcher by a link or a VOLUME": (
        "unit/launcher/test_prepared_image.py::test_no_prepared_image_replaces_the_launcher",
        "e2e/test_prepared_images.py::test_code_of_a_prepared_image_opens_only_unix_sockets",
    ),
    "the builder of the image cannot know the path": (
        "integration/site/test_launcher_path.py::test_the_path_has_the_uid_of_the_sitetask_which_the_hub_does_not_know",
        "integration/site/test_launcher_path.py::test_nobody_chooses_the_uid_of_a_sitetask",
        "integration/site/test_launcher_path.py::test_the_next_sitetask_of_the_same_name_has_another_uid",
    ),
    "No other mount of the pod can cover the launcher": (
        "unit/golden/test_mounts_page.py::test_the_launcher_lies_deeper_than_all_other_mounts",
        "unit/launcher/test_prepared_image.py::test_a_volume_that_covers_the_launcher_starts_no_code",
    ),
    "Training code cannot make symbolic links": (
        "unit/launcher/test_launcher.py::test_symbolic_links_are_refused",
        "e2e/test_prepared_images.py::test_code_of_an_image_cannot_redirect_a_later_containers_mount",
    ),
    "nobody can change the pod's images": (f"{POLICIES}test_an_admitted_pod_cannot_be_changed",),
    "Nobody can change the label `wardround.io/role`": (
        f"{POLICIES}test_an_admitted_pod_cannot_be_changed",
        f"{POLICIES}test_a_binding_changes_neither_role_nor_networks",
    ),
    "Nobody can change the annotations by which Multus": (
        f"{POLICIES}test_an_admitted_pod_cannot_be_changed",
        f"{POLICIES}test_a_binding_changes_neither_role_nor_networks",
    ),
    "Nobody can change the limits of a training pod": (f"{POLICIES}test_a_training_pod_keeps_its_limits",),
    "Nobody can change the spec of a Prediction": (
        "integration/api/test_predictions.py::test_the_spec_of_a_prediction_is_immutable_and_its_status_is_the_operators",
    ),
    "Prediction cannot read the old answers": (
        "integration/api/test_predictions.py::test_no_prediction_reads_the_answer_of_another_one",
    ),
    "The hub cannot make a model's code read a further column": (
        "unit/plans_site/test_delivery.py::test_a_site_refuses_a_model_with_another_column_than_its_own_dataschema",
        "unit/plans_courier/test_delivery.py::test_a_package_is_of_the_model_that_its_card_describes",
        "unit/card/test_folder.py::test_a_card_whose_fields_are_not_those_of_its_digest_is_refused",
    ),
    "the courier cannot read an answer": (
        "integration/api/test_own_pods.py::test_a_deployment_of_the_courier_with_a_claim_of_patient_data_is_refused",
        "integration/api/test_predictions.py::test_the_chart_refuses_lists_with_its_own_claims",
    ),
    "one hospital cannot replace a number that all other hospitals report": (
        "unit/aggregate/test_hidden_hospitals.py::test_one_hospital_does_not_replace_the_metrics_that_all_others_report",
    ),
    "a reader cannot compute an exact count above about 100": (
        "unit/aggregate/test_rounded_metrics.py::test_the_numbers_of_people_do_not_sharpen_a_share",
        "unit/metrics/test_digits.py::test_counts_are_rounded_so_that_they_do_not_sharpen_a_share",
    ),
    "the store cannot read or change the list": (
        "unit/documents/test_update_list.py::test_the_store_holds_no_url_and_no_manifest_in_clear",
        "unit/documents/test_update_list.py::test_a_page_that_is_not_the_hubs_ends_the_aggregation",
        "unit/documents/test_update_list.py::test_a_list_without_its_last_page_is_not_the_hubs_list",
    ),
    "the store cannot change a page, repeat an older one": (
        "unit/documents/test_collected_list.py::test_a_page_opens_under_its_own_name_and_key_alone",
        "integration/store/test_early.py::test_a_page_that_is_not_the_next_one_of_this_list_ends_the_job",
    ),
    "updates a minute after the end of their round | nobody can open them": (
        "integration/hub/test_after_the_end.py::test_no_key_in_any_object_opens_an_update_after_the_end",
    ),
    "The site operator can neither read this Secret nor start a pod that mounts it": (
        f"{RIGHTS}test_an_account_may_do_nothing_else",
        f"{POLICIES}test_the_policy_refuses_a_job_of_another_shape_and_says_why",
        "e2e/test_credentials.py::test_the_site_operator_reads_only_the_secret_of_its_hub_credentials",
    ),
    "The account cannot bind its token to another object": (
        f"{HUB}test_a_token_bound_to_an_object_does_not_show_whether_it_exists",
    ),
    "the account cannot make `managedFields` of an object grow": (
        "integration/api/test_growth.py::test_no_object_grows",
    ),
    "they cannot choose a node": (
        "integration/api/test_aggregation_policies.py::test_the_hub_operator_can_make_no_other_job",
        "integration/api/test_aggregation_policies.py::test_the_policy_refuses_any_other_pod_of_an_aggregation",
    ),
    "the hub operator cannot make a Secret of the type": (f"{WRITES}test_the_hub_operator_cannot_make_a_token_secret",),
    "the hub operator cannot change or delete Secrets and ConfigMaps that have other names": (
        f"{WRITES}test_the_hub_operator_makes_no_object_of_others",
        f"{WRITES}test_the_hub_operator_changes_and_deletes_no_object_of_others",
        f"{WRITES}test_the_hub_operator_makes_its_signing_key_and_never_replaces_it",
        f"{HUB}test_the_hub_operator_deletes_no_object_of_others_with_a_whole_collection",
    ),
    "The hub operator cannot write owners into these Secrets and ConfigMaps, so it cannot let the garbage collector": (
        f"{WRITES}test_the_hub_operator_makes_nothing_that_the_garbage_collector_deletes",
        f"{WRITES}test_the_hub_operator_lets_the_garbage_collector_delete_nothing",
    ),
    "the site operator and the courier cannot make a release that Helm uses": (
        f"{SITE_WRITES}test_no_account_of_a_site_forges_a_release_of_helm",
        f"{SITE_WRITES}test_no_kind_of_patch_makes_a_secret_one_of_helms",
        f"{SITE_WRITES}test_an_account_of_a_site_makes_and_deletes_no_secret_and_no_config_map",
    ),
    "courier cannot let the garbage collector delete a Secret, and cannot make a Secret stay": (
        f"{SITE_WRITES}test_an_account_of_a_site_changes_no_notes_of_its_secret",
        f"{SITE_WRITES}test_an_account_of_a_site_replaces_nothing_but_values",
        f"{SITE_WRITES}test_an_account_of_a_site_writes_no_other_secret_or_config_map",
    ),
    "The courier cannot replace its keys": (f"{SITE_WRITES}test_the_courier_fills_its_empty_secret_once",),
    "the hub operator cannot make a release that Helm uses": (
        f"{WRITES}test_the_hub_operator_makes_no_release_of_helm",
        f"{WRITES}test_the_hub_operator_writes_no_notes_for_other_programs",
    ),
    "the hub operator cannot publish another address of the store": (
        f"{WRITES}test_the_hub_operator_publishes_no_other_store",
        f"{WRITES}test_the_hub_operator_publishes_no_other_ca_of_an_external_store",
    ),
    "nobody can make or change `wardround-hub`": (
        f"{WRITES}test_without_its_ca_of_the_store_the_cluster_writes_all_other_config_maps",
    ),
    "an attacker who steals the hub operator's token cannot read keys that the hub operator has deleted": (
        "integration/hub/test_old_revisions.py::test_no_right_of_the_hub_operator_reads_a_deleted_key",
        f"{RIGHTS}test_an_account_may_do_nothing_else",
    ),
    "It cannot change the owners of any other FederatedRound": (
        f"{HUB}test_the_hub_operator_does_not_change_the_owners_of_a_persons_round",
    ),
    "The hub operator cannot write FederatedModels": (f"{RIGHTS}test_an_account_may_do_nothing_else",),
    "a user who may create FederatedRounds cannot put a round into another person's series": (
        f"{HUB}test_nobody_but_the_hub_operator_makes_a_round_of_a_model",
        f"{HUB}test_a_person_cannot_put_a_round_into_a_model_later",
    ),
    "other people who can read the ModelTransfer cannot open the model": (
        "integration/hub/test_transfers.py::test_nobody_without_the_private_key_opens_what_stands_in_the_status",
    ),
    "Nobody can ask in another user's name, or replace the key of a ModelTransfer": (
        f"{HUB}test_a_transfer_names_the_user_who_makes_it",
        f"{HUB}test_a_transfer_never_changes",
        "integration/hub/test_transfers.py::test_a_rewritten_public_key_is_refused_before_and_after_the_answer",
    ),
    "Nobody can push in another user's name": (
        f"{HUB}test_a_push_names_the_user_who_makes_it_and_who_says_that_it_is_uploaded",
        "integration/hub/test_pushes.py::test_nobody_pushes_in_the_name_of_somebody_else",
    ),
    "a dishonest hub cannot show people at the hospital a task under another round's name": (
        "unit/plans_site/test_assignment.py::test_a_task_has_the_name_that_follows_from_the_signed_round",
        "integration/site/test_replay.py::test_a_site_refuses_a_forgotten_assignment_after_a_restart",
    ),
    "The hub cannot switch off this comparison": (
        "unit/sealing/test_manifests.py::test_an_assignment_with_a_missing_or_mistyped_field_is_unreadable",
        "unit/plans_site/test_assigned_schema.py::test_a_site_refuses_another_schema_and_names_the_first_field_that_differs",
    ),
    "Service accounts cannot delete Approvals": (
        "integration/api/test_approvals.py::test_no_process_deletes_one_and_a_person_does",
    ),
    "Nobody can give an Approval or a SiteTask an owner": (
        f"{OWNERS}test_nobody_lets_the_garbage_collector_delete_an_approval_or_a_task",
        f"{OWNERS}test_neither_the_site_operator_nor_a_program_of_the_role_does_so_to_a_task",
        f"{OWNERS}test_none_is_made_with_owners_or_finalizers",
        f"{OWNERS}test_who_writes_a_status_writes_no_metadata",
        "integration/api/test_garbage_collection.py::test_a_right_to_patch_is_no_right_to_delete",
    ),
    "nobody can change labels or annotations of an Approval or a SiteTask": (
        f"{OWNERS}test_labels_and_annotations_by_which_programs_delete_never_change",
        f"{OWNERS}test_nobody_removes_a_label_or_an_annotation",
        f"{OWNERS}test_the_site_operator_makes_no_task_with_notes_for_other_programs",
    ),
    "No service account can do this": ("integration/api/test_site_policies.py::test_no_process_decides_about_a_task",),
    "an attacker who controls the site operator cannot write another person's name beside an Approval that exists": (
        "integration/api/test_site_policies.py::test_the_site_operator_cannot_write_that_a_person_has_decided",
        "integration/api/test_approvals.py::test_the_site_operator_cannot_write_that_another_person_made_the_approval_of_a_task",
    ),
    "cannot make the courier fetch or send for a task that no Approval covers": (
        "integration/site/test_approvals.py::test_a_site_operator_that_lies_gets_nothing_from_the_courier",
        "integration/site/test_site.py::test_the_courier_itself_waits_for_a_manual_approval",
    ),
    "The site operator cannot lower the count": (
        "integration/api/test_approvals.py::test_only_the_site_operator_counts_and_it_cannot_count_down",
    ),
    "A dishonest hub cannot repeat a counted round for nothing": (
        "integration/site/test_approvals.py::test_a_hub_that_repeats_a_counted_round_uses_up_another_one",
        "unit/plans_site/test_approval.py::test_another_assignment_of_a_counted_attempt_counts_as_a_further_task",
        "integration/site/test_replay.py::test_a_site_refuses_a_forgotten_assignment_after_a_restart",
    ),
    "a person who guesses the sums of an Evaluate or Statistics round cannot confirm the guess": (
        f"{SCORE}test_a_person_who_guesses_the_sums_cannot_confirm_them_by_the_updates_digest",
        "unit/pod/test_pod_end_to_end.py::test_a_person_who_guesses_statistics_cannot_confirm_them_by_the_updates_digest",
    ),
    "malicious training code cannot write a message into the digest of its update": (
        f"{SEND}test_training_code_writes_no_message_into_the_digest_that_the_hub_shows",
    ),
    "the code cannot choose bits of the digest": (
        f"{SEND}test_training_code_writes_no_message_into_the_digest_that_the_hub_shows",
    ),
    "nobody without the file key can confirm a guess of the update": (
        f"{SEND}test_nobody_confirms_a_guess_of_an_update_by_its_digest_without_its_key",
    ),
    "nobody outside the hospital can compute which patients are held out": (
        "unit/pod/test_split_key.py::test_the_first_pod_makes_a_random_private_key_for_each_dataset_and_later_pods_use_it",
        "unit/pod/test_split_key.py::test_the_report_has_the_fingerprint_and_no_file_of_another_container_has_the_key",
        "unit/tabular/test_split.py::test_a_fingerprint_tells_keys_apart_and_is_no_position_of_a_patient",
    ),
    "If `prepare` cannot read the count, it evaluates no model": (
        "unit/pod/test_evaluations.py::test_without_a_readable_count_nobody_evaluates_and_the_words_name_the_file",
        "unit/pod/test_evaluations.py::test_a_count_that_is_no_file_is_not_readable",
    ),
    "Training code cannot write this folder": (
        f"{POLICIES}test_the_policy_refuses_a_mount_outside_the_table",
        "unit/golden/test_mounts_page.py::test_no_two_containers_write_in_one_folder",
    ),
    "an author alone cannot choose a model's weights": (
        "unit/plans_hub/test_round_sources.py::test_a_reference_that_can_never_be_compared_fails_the_round",
        "unit/plans_site/test_assignment.py::test_a_site_takes_pushed_weights_only_if_its_policy_says_so_and_hears_who_pushed_them",
    ),
    "no other process of the same user can read its memory": (
        "unit/test_verbs.py::test_no_other_process_of_the_user_reads_the_memory_of_a_verb",
        "unit/test_verbs.py::test_every_verb_starts_without_core_dumps_and_not_dumpable",
    ),
    "Training code cannot choose the compression": (
        "unit/pod/test_compressed_update.py::test_training_code_cannot_choose_the_compression",
    ),
    "No round can then set a `batchSize` with which an epoch has only one step": (
        "unit/plans_site/test_parameters.py::test_an_epoch_has_two_steps_only_if_a_batch_has_at_most_half_of_the_rows",
    ),
    "An initial round then cannot set a wide first layer": (
        "unit/plans_site/test_parameters.py::test_a_bound_does_not_hold_for_a_parameter_that_the_round_leaves_out",
    ),
    "an author alone cannot choose the weights of a reference": (
        "unit/plans_hub/test_round_sources.py::test_a_reference_that_can_never_be_compared_fails_the_round",
        "unit/plans_site/test_assignment.py::test_a_site_takes_pushed_weights_only_if_its_policy_says_so_and_hears_who_pushed_them",
    ),
    "A round's author cannot choose the bounds of a verdict": (
        "unit/aggregate/test_gate.py::test_an_author_sets_no_bound_of_a_verdict",
    ),
    "One hospital cannot make the gate accept a new model": (
        "unit/aggregate/test_gate.py::test_one_hospital_cannot_get_a_worse_candidate_accepted",
        "integration/store/test_evaluations.py"
        "::test_a_hospital_that_states_few_people_gets_no_candidate_accepted_that_is_worse_at_a_large_one",
    ),
    "Training code cannot write the verdicts": (
        "unit/pod/test_verdicts_of_code.py::test_no_file_of_the_code_changes_the_message",
        "unit/pod/test_verdicts_of_code.py::test_code_that_writes_a_text_for_its_predictions_gets_no_verdict",
        "unit/plans_site/test_own_verdicts.py::test_only_the_check_that_succeeds_gives_a_verdict",
        "integration/site/test_verdicts.py::test_another_text_takes_all_verdicts_of_the_task_away",
    ),
    "The hub cannot choose how many people each class must have": (
        f"{SCORE}test_the_hub_chooses_neither_the_people_nor_the_error_of_a_verdict",
    ),
    "The hub cannot choose the test's chance of an error": (
        f"{SCORE}test_the_hub_chooses_neither_the_people_nor_the_error_of_a_verdict",
    ),
    "so can neither open a model nor sign an update": (
        "integration/hub/test_stolen_token.py::test_a_thief_of_a_token_opens_no_model_and_signs_no_update",
        "unit/plans_hub/test_round_collect.py::test_an_update_of_a_thief_of_the_token_does_not_count_after_the_revocation",
        "integration/store/test_left_out.py::test_the_aggregation_leaves_out_and_names_an_unexpected_update",
    ),
    "No hub can use a Dataset that is not in `policy.datasets`": (
        "unit/plans_site/test_assignment.py::test_no_dataset_is_used_before_a_hospital_lists_it",
        f"{DATASET}test_the_policy_refuses_a_dataset_that_the_site_does_not_list",
    ),
    "In a Participant, the attacker cannot write the part of the hospital": (
        f"{HUB}test_nobody_else_can_publish_keys_of_a_hospital",
    ),
    "The attacker can neither choose which rows are counted nor train on a single row": (
        f"{DATASET}test_the_policy_refuses_a_job_that_gives_prepare_another_dataset_text",
        f"{DATASET}test_the_policy_refuses_a_job_that_gives_prepare_another_schema_text",
        f"{DATASET}test_the_policy_refuses_fewer_patients_than_the_charts",
        f"{POLICIES}test_the_policy_refuses_other_parameters_than_the_charts",
        "unit/plans_site/test_parameters.py::test_one_step_on_one_row_is_refused_by_default",
    ),
    "The attacker can neither delete nor replace the key, because the site operator cannot write the volumes": (
        "integration/api/test_own_pods.py::test_no_pod_with_network_mounts_what_a_pod_beside_the_data_can_write",
        f"{POLICIES}test_the_policy_refuses_a_job_of_another_shape_and_says_why",
        f"{RIGHTS}test_an_account_may_do_nothing_else",
    ),
    "the updates are sealed for the hub, so the attacker cannot open them": (
        "integration/site/test_lying_operator.py::test_the_courier_seals_no_update_for_a_key_of_the_attacker",
        "integration/site/test_lying_operator.py::test_the_attacker_cannot_open_the_update_of_an_own_job",
    ),
    "Nobody can open this update, and no program reads it": (
        "integration/hub/test_after_the_end.py::test_no_key_in_any_object_opens_an_update_after_the_end",
        "integration/hub/test_hub.py::test_the_hub_deletes_an_update_that_arrives_after_the_end",
    ),
    "A dishonest store cannot make the hub operator delete objects of another round": (
        "unit/store/test_listing.py::test_the_hub_deletes_nothing_of_a_page_with_a_key_outside_the_prefix",
    ),
    "The training of a round reads one state, and cannot change it": (
        f"{POLICIES}test_the_policy_refuses_a_mount_outside_the_table",
        "e2e/test_state.py::test_training_knows_the_round_of_its_state_and_cannot_change_the_state",
    ),
    "training code cannot write to them": ("unit/pod/test_rounds.py::test_code_leaves_nothing_in_folders_of_an_image",),
    "training code cannot learn about hold-out rows from what an evaluation leaves": (
        "unit/golden/test_training_golden.py"
        "::test_training_alone_leaves_checkpoint_and_state_and_beside_it_prepare_alone_sees_any",
        "e2e/test_state.py::test_an_evaluation_reads_the_models_state_and_leaves_none",
    ),
    "at a path that no image can know": (
        "unit/launcher/test_prepared_image.py::test_no_prepared_image_replaces_the_launcher",
        "unit/launcher/test_prepared_image.py::test_code_that_knows_the_path_leads_no_mount_above_the_launcher",
    ),
    "The site operator cannot switch this off": (
        "integration/api/test_training_allowances.py::test_a_site_that_refuses_link_local_refuses_it_in_every_pod",
    ),
    "The store cannot fill the hub operator's memory": (
        "unit/store/test_listing.py::test_the_client_reads_no_more_of_an_answer_than_its_limit",
        "unit/store/test_listing.py::test_only_one_page_of_a_list_is_in_memory",
        "unit/store/test_listing.py::test_the_hub_gives_up_a_list_that_does_not_end",
    ),
    "a file that passes cannot set another value of the site chart, and cannot bring another object": (
        f"{ENROLMENT}test_values_of_the_site_chart_are_refused_by_their_paths",
        f"{ENROLMENT}test_a_second_object_is_refused",
        f"{ENROLMENT}test_another_secret_is_refused",
        f"{ENROLMENT}test_another_notation_is_refused",
    ),
}

# What the page admits, and who or what cannot do it.
LIMITS: Mapping[str, str] = {
    "Wardround cannot prevent that people send the file away": "Wardround",
    "Wardround cannot recognise a header line": "Wardround",
    "The command cannot know whether addresses, certificates and fingerprint are those of the hub": "the command",
    "A hospital cannot take its name back from a card": "a hospital",
    "A hospital cannot see which person controls this account": "a hospital",
    "nobody can take numbers back from that server": "everybody",
    "the program cannot notice that somebody has replaced one version": "a program that checks a folder",
    "nobody can check this number": "everybody",
    "the hospital cannot see where a base comes from": "a hospital",
    "The hospital cannot see what the hub does with the result": "a hospital",
    "its reader cannot know whether somebody has changed it": "the reader of a report",
    "Nobody can check whether a hospital's sums come from its patients": "everybody",
    "Nobody can check how many people a hospital measures": "everybody",
    "A hospital cannot check how the hub uses test rows": "a hospital",
    "The aggregation cannot know whether these probabilities and numbers come from the model": "the aggregation",
    "Nobody can check a hospital's own verdict": "everybody",
    "A site cannot check to which federation a task belongs": "a site",
    "A site cannot verify the quorum": "a site",
    "A site cannot check that a round belongs to the model": "a site",
    "`prepare` cannot delete a folder that another user owns": "prepare",
    "a process without privileges cannot prevent it": "a process of Wardround",
    "The launcher cannot raise this limit to 1 byte": "the launcher",
    "The launcher's filter cannot distinguish addresses": "the launcher",
    "The isolation gate cannot test SCTP": "the isolation gate",
    "The API server cannot detect that two Datasets share rows": "the API server",
    "Nobody can check the number of training patients that a hospital states": "everybody",
    "Nobody can check whether possible counts and sums": "everybody",
}
