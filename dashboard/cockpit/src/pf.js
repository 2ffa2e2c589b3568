// SPDX-License-Identifier: GPL-2.0
/* Import single components: the package's index would also include the styles of all others. */
export * from "@patternfly/react-core/dist/esm/components/Alert/index.js";
export * from "@patternfly/react-core/dist/esm/components/Button/index.js";
export * from "@patternfly/react-core/dist/esm/components/Card/index.js";
export * from "@patternfly/react-core/dist/esm/components/Checkbox/index.js";
export * from "@patternfly/react-core/dist/esm/components/DescriptionList/index.js";
export * from "@patternfly/react-core/dist/esm/components/Drawer/index.js";
export * from "@patternfly/react-core/dist/esm/components/EmptyState/index.js";
export * from "@patternfly/react-core/dist/esm/components/ExpandableSection/index.js";
export * from "@patternfly/react-core/dist/esm/components/Form/index.js";
export * from "@patternfly/react-core/dist/esm/components/HelperText/index.js";
export * from "@patternfly/react-core/dist/esm/components/Icon/index.js";
export * from "@patternfly/react-core/dist/esm/components/Label/index.js";
export * from "@patternfly/react-core/dist/esm/components/Modal/index.js";
export * from "@patternfly/react-core/dist/esm/components/Pagination/index.js";
export * from "@patternfly/react-core/dist/esm/components/Progress/index.js";
export * from "@patternfly/react-core/dist/esm/components/SearchInput/index.js";
export * from "@patternfly/react-core/dist/esm/components/Spinner/index.js";
export * from "@patternfly/react-core/dist/esm/components/TextInput/index.js";
export * from "@patternfly/react-core/dist/esm/components/Title/index.js";
export * from "@patternfly/react-core/dist/esm/components/ToggleGroup/index.js";
export * from "@patternfly/react-core/dist/esm/components/Toolbar/index.js";
export * from "@patternfly/react-core/dist/esm/components/Tooltip/index.js";
export { Table, Tbody, Td, Th, Thead, Tr } from "@patternfly/react-table/dist/esm/components/Table/index.js";
export { default as CheckCircleIcon } from "@patternfly/react-icons/dist/esm/icons/check-circle-icon.js";
export { default as ExclamationCircleIcon } from "@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon.js";
export {
	default as ExclamationTriangleIcon,
} from "@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon.js";
export { default as QuestionCircleIcon } from "@patternfly/react-icons/dist/esm/icons/question-circle-icon.js";
